"""Group commit: the gateway's operations, posted together in whatever batch is waiting.

While one batch is under way the operations that arrive queue up and go in the next: no timer, no added wait when
idle, and nothing is answered before it is durable. One queue a process, on its event loop, and two connections: one
posts, without waiting for the disk, so that no wallet is locked meanwhile; the other one then waits for the disk, once
for all that was committed by then. PostgreSQL's log is written in order: what is on the disk has all that it was built
on there, too. Where nobody else is waiting, the first one waits itself: that saves a round trip.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from config.sql import Rows, Statement
from ledger import wallets
from ledger.errors import Contention
from ledger.operations import Operation, Outcome
from ledger.pipeline import Pipeline
from ledger.posting import ATTEMPTS, backoff, is_retryable, steps

log = logging.getLogger("tollgate.ledger")

# The most operations in one transaction, so that its locks stay short.
MAX_BATCH = 500
# The most operations that may wait for a database that is slow or away: memory stays bounded.
MAX_WAITING = 20_000
# Seconds between tries to reach a database that is away.
RECONNECT_SECONDS = 0.25
# Seconds after which an operation is tried again whose wallet somebody else has locked for long.
BUSY_SECONDS = 0.1


# Posting finds rows by their keys only. The plans are cached, and one made while a table was small would go on to scan
# all of it as it grows (measured: 24 ms for a request instead of 3 until the next ANALYZE).
_POSTING = " ".join(
    f"-c {setting}"
    for setting in (
        # The other connection waits for the disk.
        "synchronous_commit=off",
        # Then the busy wallets are set aside: nobody else waits for them any longer.
        "lock_timeout=500ms",
        "timezone=UTC",
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "jit=off",
        "plan_cache_mode=force_generic_plan",
    )
)

_BEGIN = Statement("BEGIN", returns=False)
_COMMIT = Statement("COMMIT", returns=False)
_WAIT_FOR_DISK = Statement("SET LOCAL synchronous_commit = on", returns=False)
# A commit waits for the disk where it has written something to the log; this is the least that it can write.
_FLUSH = Statement("SELECT pg_logical_emit_message(true, 'tollgate', '')")


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
        # How many wait for a wallet that is busy.
        self._aside = 0
        # Committed, and perhaps not on the disk yet.
        self._committed: list[tuple[list[_Waiting], list[Outcome]]] = []
        self._flush_due = asyncio.Event()
        self._connection: Pipeline | None = None
        self._flushing: Pipeline | None = None
        self._closing = False
        self._runner = asyncio.create_task(self._run(), name="group-commit")
        self._flusher = asyncio.create_task(self._flush_when_due(), name="group-commit-flush")

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
        self._flusher.cancel()
        await asyncio.wait({self._flusher})

    async def _run(self) -> None:
        while not (self._closing and not self._waiting and not self._committed and not self._aside):
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                size = min(len(self._waiting), MAX_BATCH)
                await self._settle([self._waiting.popleft() for _ in range(size)])
        await self._disconnect()

    async def _settle(self, batch: list[_Waiting]) -> None:
        """Give every operation of the batch its outcome or its error; the runner itself never dies of one."""
        try:
            for attempt in range(ATTEMPTS):
                batch = [waiting for waiting in batch if not waiting.answer.done()]
                if not batch or await self._posted(batch):
                    return
                await asyncio.sleep(backoff(attempt))
                batch = await self._set_busy_aside(batch)
            raise Contention(f"the database stayed busy over {ATTEMPTS} attempts")
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

    async def _posted(self, batch: list[_Waiting]) -> bool:
        """Post the batch; False where it may be tried again, and nothing was changed."""
        connection = await self._connected()
        try:
            outcomes, durable = await _drive(
                connection,
                [waiting.operation for waiting in batch],
                lambda: len(batch) == 1 and not (self._waiting or self._committed),
            )
        except psycopg.Error as error:
            if not is_retryable(error):
                raise
            # Out of the aborted transaction: a new connection is the plain way there.
            await self._disconnect()
            return False
        if durable:
            _answer(batch, outcomes)
        else:
            self._committed.append((batch, outcomes))
            self._flush_due.set()
        return True

    async def _set_busy_aside(self, batch: list[_Waiting]) -> list[_Waiting]:
        """The operations whose wallet nobody has locked; the others go again a little later, or give up."""
        named = {wallet for waiting in batch if isinstance(wallet := waiting.operation.wallet, uuid.UUID)}
        if not named:
            return batch
        connection = await self._connected()
        [rows] = await connection.run([wallets.free(named)])
        busy = named - {account_id for (account_id,) in rows}
        loop = asyncio.get_running_loop()
        for waiting in batch:
            if waiting.operation.wallet not in busy:
                continue
            if waiting.give_up_at <= loop.time():
                _fail(waiting, Contention("the wallet stayed busy"))
            else:
                self._aside += 1
                loop.call_later(BUSY_SECONDS, self._again, waiting)
        return [waiting for waiting in batch if waiting.operation.wallet not in busy]

    def _again(self, waiting: _Waiting) -> None:
        self._aside -= 1
        self._waiting.append(waiting)
        self._arrived.set()

    async def _flush_when_due(self) -> None:
        """Answer what was committed as soon as the disk has it."""
        try:
            while True:
                await self._flush_due.wait()
                self._flush_due.clear()
                batches = self._committed[:]
                await self._flush(batches)
                del self._committed[: len(batches)]
                # The runner may be waiting for this to end.
                self._arrived.set()
        finally:
            if self._flushing:
                await self._flushing.close()

    async def _flush(self, batches: list[tuple[list[_Waiting], list[Outcome]]]) -> None:
        try:
            if self._flushing is None or self._flushing.closed:
                self._flushing = await Pipeline.connect(**self._parameters())
            await self._flushing.run([_FLUSH])
        except (psycopg.Error, OSError) as error:
            # Nobody knows whether they are on the disk. They go again: what is there answers its first outcome.
            if self._flushing:
                await self._flushing.close()
            await self._wait_for_database([waiting for batch, _ in batches for waiting in batch], error)
            return
        for batch, outcomes in batches:
            _answer(batch, outcomes)

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

    async def _connected(self) -> Pipeline:
        if self._connection is None or self._connection.closed:
            self._connection = await Pipeline.connect(**self._parameters(), options=_POSTING)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _drive(
    connection: Pipeline, operations: Sequence[Operation], waits_for_disk: Callable[[], bool]
) -> tuple[list[Outcome], bool]:
    """Run the steps in one transaction: their outcomes, and whether the disk has them.

    BEGIN, COMMIT and what answers no rows travel with the rest. `waits_for_disk` is asked just before
    the COMMIT is sent.
    """
    work = steps(operations)
    todo = [_BEGIN]
    answers: list[Rows] | None = None
    while True:
        try:
            round_trip = next(work) if answers is None else work.send(answers)
        except StopIteration as stop:
            durable = waits_for_disk()
            await connection.run([*todo, *([_WAIT_FOR_DISK] if durable else ()), _COMMIT])
            return list(stop.value), durable
        todo += round_trip
        if any(statement.returns for statement in round_trip):
            answers = (await connection.run(todo))[-len(round_trip) :]
            todo = []
        else:
            answers = [[] for _ in round_trip]


def _answer(batch: list[_Waiting], outcomes: list[Outcome]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(outcome)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
