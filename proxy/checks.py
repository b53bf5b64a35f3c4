"""Entitlement checks, answered in batches: while one query is under way the questions that arrive go in the next.

One connection a process, in autocommit, beside the one that posts: a check waits for nobody's commit, and no commit for
checks. No timer, and no wait when idle.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from config.errors import Unavailable
from ledger.entitlements import facts
from ledger.entitlements.facts import Asker
from ledger.entitlements.questions import Question
from ledger.entitlements.rules import Facts
from ledger.pipeline import Pipeline

log = logging.getLogger("tollgate.gateway")

MAX_BATCH = 200
MAX_WAITING = 10_000
# A check is of no use to somebody who has waited for longer (ms, of the database's).
STATEMENT_TIMEOUT = 2_000

# By keys only, whatever the tables' statistics say: see `ledger/group_commit.py`.
_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT} -c timezone=UTC -c enable_seqscan=off -c enable_hashjoin=off "
    "-c enable_mergejoin=off -c jit=off -c plan_cache_mode=force_generic_plan"
)

Found = tuple[Asker, Facts] | None


@dataclass(slots=True)
class _Waiting:
    digest: str
    question: Question
    answer: "asyncio.Future[Found]"


class Checks:
    """Reads what checks ask for, of one process. Nothing runs until the first one asks."""

    def __init__(self, connection_parameters: Callable[[], dict[str, Any]]) -> None:
        self._parameters = connection_parameters
        self._waiting: deque[_Waiting] = deque()
        self._connection: Pipeline | None = None
        self._runner: asyncio.Task[None] | None = None

    async def ask(self, digest: str, question: Question) -> Found:
        """Who has this key, and the facts of the question; None for a key that isn't live. Raises Unavailable."""
        if len(self._waiting) >= MAX_WAITING:
            raise _away()
        waiting = _Waiting(digest, question, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run(), name="entitlement-checks")
        return await waiting.answer

    async def close(self) -> None:
        """Answer what is waiting, then disconnect."""
        if self._runner:
            await self._runner
        await self._disconnect()

    async def _run(self) -> None:
        while self._waiting:
            size = min(len(self._waiting), MAX_BATCH)
            batch = [self._waiting.popleft() for _ in range(size)]
            try:
                found = await self._read(batch)
            except Exception as error:
                await self._disconnect()
                log.warning("entitlements can't be checked: %s", str(error).strip())
                for waiting in batch:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(_away())
            else:
                for waiting, answer in zip(batch, found, strict=True):
                    if not waiting.answer.done():
                        waiting.answer.set_result(answer)

    async def _read(self, batch: list[_Waiting]) -> list[Found]:
        statement = facts.of_keys([(waiting.digest, waiting.question) for waiting in batch])
        # A connection that broke while it was idle shows only when it is used: then once more, on a new one.
        for attempt in (1, 2):
            connection = await self._connected()
            try:
                [rows] = await connection.run([statement])
                return [facts.answered(row) for row in rows]
            except (psycopg.OperationalError, psycopg.InterfaceError):
                await self._disconnect()
                if attempt == 2:
                    raise
        raise AssertionError

    async def _connected(self) -> Pipeline:
        if self._connection is None or self._connection.closed:
            self._connection = await Pipeline.connect(**self._parameters(), options=_OPTIONS)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _away() -> Unavailable:
    return Unavailable("Entitlements can't be checked right now. Try again.")
