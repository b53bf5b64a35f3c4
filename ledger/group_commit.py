"""Group commit: the gateway's operations, posted together in whatever batch is waiting.

While one commit is under way the operations that arrive queue up and go in the next: no timer, no added wait when
idle, and nothing is answered before it is durable. One queue and one connection a process, on its event loop.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from config.sql import Rows
from ledger.errors import Contention
from ledger.operations import Operation, Outcome
from ledger.posting import ATTEMPTS, LOCK_TIMEOUT_SECONDS, backoff, is_retryable, steps

log = logging.getLogger("tollgate.ledger")

# The most operations in one transaction, so that its locks stay short.
MAX_BATCH = 500
# The most operations that may wait for a database that is slow or away: memory stays bounded.
MAX_WAITING = 20_000
# Seconds between tries to reach a database that is away.
RECONNECT_SECONDS = 0.25


# Posting finds rows by their keys only. The plans are cached, and one made while a table was small would go on to scan
# all of it as it grows (measured: 24 ms for a request instead of 3 until the next ANALYZE).
_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        f"lock_timeout={LOCK_TIMEOUT_SECONDS}s",
        "timezone=UTC",
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "jit=off",
    )
)


class LedgerAway(Exception):
    """The database could not be reached in the time the operation had. Nothing is known to have been done."""


@dataclass(slots=True)
class _Waiting:
    operation: Operation
    answer: "asyncio.Future[Outcome]"
    give_up_at: float


class GroupCommit:
    """Posts operations for one process. Open it in the server's lifespan; `close()` posts what is still waiting."""

    def __init__(self, connection_parameters: Callable[[], dict[str, Any]]) -> None:
        self._parameters = connection_parameters
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._closing = False
        self._runner = asyncio.create_task(self._run(), name="group-commit")

    async def post(self, operation: Operation, *, patience: float) -> Outcome:
        """The outcome of one operation, as `submit` has it."""
        return await self.submit(operation, patience=patience)

    def submit(self, operation: Operation, *, patience: float) -> "asyncio.Future[Outcome]":
        """The outcome of one operation, once it is durable; a refusal is an outcome.

        `patience` is the seconds it may wait for a database that is away. Raises LedgerAway after that (the operation
        may be tried again: it is idempotent), Contention where the wallet stayed busy.
        """
        loop = asyncio.get_running_loop()
        if self._closing or len(self._waiting) >= MAX_WAITING:
            raise LedgerAway("too many operations are waiting for the database")
        waiting = _Waiting(operation, loop.create_future(), loop.time() + patience)
        self._waiting.append(waiting)
        self._arrived.set()
        return waiting.answer

    async def close(self) -> None:
        """Post what is waiting, then disconnect."""
        self._closing = True
        self._arrived.set()
        await self._runner

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                size = min(len(self._waiting), MAX_BATCH)
                await self._settle([self._waiting.popleft() for _ in range(size)])
        await self._disconnect()

    async def _settle(self, batch: list[_Waiting]) -> None:
        """Give every operation of the batch its outcome or its error; the runner itself never dies of one."""
        batch = [waiting for waiting in batch if not waiting.answer.done()]
        if not batch:
            return
        try:
            outcomes = await self._post([waiting.operation for waiting in batch])
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            await self._disconnect()
            await self._wait_for_database(batch, error)
        except Exception as error:
            await self._disconnect()
            if len(batch) > 1:
                # One operation that the database can't take must not fail its neighbours.
                for waiting in batch:
                    await self._settle([waiting])
            else:
                log.exception("an operation could not be posted: %r", batch[0].operation)
                _fail(batch[0], error)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(outcome)

    async def _wait_for_database(self, batch: list[_Waiting], error: Exception) -> None:
        """Put back, in order, what still has time; the rest is told that the database is away."""
        log.warning("the database is away: %s", str(error).strip())
        now = asyncio.get_running_loop().time()
        for waiting in reversed(batch):
            if waiting.give_up_at > now:
                self._waiting.appendleft(waiting)
            else:
                _fail(waiting, LedgerAway("the database is away"))
        await asyncio.sleep(RECONNECT_SECONDS)

    async def _post(self, operations: Sequence[Operation]) -> list[Outcome]:
        for attempt in range(ATTEMPTS):
            connection = await self._connected()
            try:
                return await _drive(connection, operations)
            except psycopg.Error as error:
                if not is_retryable(error):
                    raise
                # Out of the pipeline's aborted state: a new connection is the plain way there.
                await self._disconnect()
                await asyncio.sleep(backoff(attempt))
        raise Contention(f"a wallet stayed busy over {ATTEMPTS} attempts")

    async def _connected(self) -> "psycopg.AsyncConnection[Any]":
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                **self._parameters(),
                autocommit=True,
                prepare_threshold=3,
                options=_OPTIONS,
            )
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _drive(
    connection: "psycopg.AsyncConnection[Any]", operations: Sequence[Operation]
) -> list[Outcome]:
    """Run the steps in one transaction, each round trip as one pipeline; BEGIN and COMMIT travel with them."""
    work = steps(operations)
    async with connection.pipeline() as pipeline, connection.transaction():
        answers: list[Rows] | None = None
        while True:
            try:
                round_trip = next(work) if answers is None else work.send(answers)
            except StopIteration as stop:
                outcomes: list[Outcome] = stop.value
                break
            cursors = []
            for statement in round_trip:
                cursor = connection.cursor(binary=True)
                await cursor.execute(statement.text, statement.params)
                cursors.append((cursor, statement.returns))
            if any(returns for _, returns in cursors):
                await pipeline.sync()
            answers = [await cursor.fetchall() if returns else [] for cursor, returns in cursors]
    return outcomes


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
