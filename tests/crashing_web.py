"""A web process that dies by `kill -9` at a named moment of the first request that gets there.

Only tests start it; the product has no switch for this. `CRASH_AT` names the moment.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after_the_hold() -> None:
    from proxy.reservation import Reservation

    place = Reservation.place

    async def and_die(self: Any, *args: Any, **kwargs: Any) -> Any:
        refusal = await place(self, *args, **kwargs)
        assert refusal is None
        die()

    Reservation.place = and_die  # type: ignore[method-assign]


def after_the_providers_answer() -> None:
    from proxy.reservation import Reservation

    async def and_die(self: Any, *args: Any, **kwargs: Any) -> None:
        die()

    Reservation.resolve = and_die  # type: ignore[method-assign]


def inside_the_settlements_transaction() -> None:
    """Its rows are written, and its COMMIT is not sent."""
    from config.sql import Statement
    from ledger import group_commit
    from ledger.operations import Capture

    steps = group_commit.steps

    def and_die(operations: Any) -> Any:
        outcomes = yield from steps(operations)
        if any(isinstance(operation, Capture) for operation in operations):
            [rows] = yield [Statement("SELECT COUNT(*) FROM ledger_transfer WHERE kind = 'usage'")]
            assert rows == [(1,)]
            die()
        return outcomes

    group_commit.steps = and_die


def after_its_commit() -> None:
    """The charge is durable, and nobody was told."""
    from ledger import group_commit
    from ledger.operations import Capture

    drive = group_commit._drive

    async def and_die(connection: Any, operations: Any, waits_for_disk: Any) -> Any:
        done = await drive(connection, operations, waits_for_disk)
        if any(isinstance(operation, Capture) for operation in operations):
            die()
        return done

    group_commit._drive = and_die


MOMENTS: dict[str, Callable[[], None]] = {
    moment.__name__: moment
    for moment in (
        after_the_hold,
        after_the_providers_answer,
        inside_the_settlements_transaction,
        after_its_commit,
    )
}

if __name__ == "__main__":
    import django

    django.setup()
    MOMENTS[os.environ["CRASH_AT"]]()

    from config.serve import web

    web.main()
