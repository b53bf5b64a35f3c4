"""What every test may use. The environment itself is prepared by `tests.settings`, before Django reads it."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations

from tests import databases
from tests.installation import Installation


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Every run has a seed of its own for Hypothesis, known before anything fails."""
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbits(32))


def pytest_report_header(config: pytest.Config) -> str:
    return f"hypothesis seed: repeat this run with --hypothesis-seed={config.getoption('--hypothesis-seed')}"


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_triggers() -> Iterator[None]:
    """Between transactional tests Django empties the tables, which the ledger's triggers refuse to anyone.

    A replica's session fires no triggers; `SET LOCAL` ends with the flush's own transaction.
    """
    flush = DatabaseOperations.execute_sql_flush

    def flush_as_replica(self: DatabaseOperations, statements: list[str]) -> None:
        flush(self, ["SET LOCAL session_replication_role = 'replica'", *statements])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_as_replica)
        yield


@pytest.fixture(scope="session", autouse=True)
def _template_is_dropped() -> Iterator[None]:
    yield
    databases.drop_migrated()


class MakeInstallation:
    """The fixture `installation`: call it as `Installation`; what it makes is stopped at the test's end."""

    def __init__(self) -> None:
        self._made: list[Installation] = []

    def __call__(self, *args: Any, **options: Any) -> Installation:
        made = Installation(*args, **options)
        self._made.append(made)
        made.start()
        return made

    def stop(self) -> None:
        for made in self._made:
            made.stop()


@pytest.fixture
def installation() -> Iterator[MakeInstallation]:
    """Real server processes on a database of their own: `site = installation(DOCUMENT, servers=2)`."""
    make = MakeInstallation()
    yield make
    make.stop()
