"""Rows of requests that ride in no settlement: what was refused before it held anything, and what runs for long.

They wait in the process, bounded, and are written together in the background, so that a refusal never waits for them.
"""

import asyncio
import logging
import uuid
from collections import deque
from contextlib import suppress

from django.db import InterfaceError, OperationalError

from config import ids
from config.db import in_thread
from ledger import requests
from ledger.requests import RequestFacts
from proxy.record import Record

log = logging.getLogger("tollgate.gateway")

# Seconds between two writes.
FLUSH_SECONDS = 1.0
# The most rows that may wait for a database that is away; then the oldest are forgotten.
MAX_WAITING = 10_000
# The most rows in one transaction.
MAX_BATCH = 1_000
# A request that runs for so many seconds gets its row before it ends.
LONG_SECONDS = 5.0


class Journal:
    """One process's; open it on the event loop. `close()` writes what is waiting."""

    def __init__(self) -> None:
        self._waiting: deque[RequestFacts] = deque(maxlen=MAX_WAITING)
        self._running: dict[uuid.UUID, Record] = {}
        self._closing = asyncio.Event()
        self._runner = asyncio.create_task(self._run())

    def began(self, record: Record) -> None:
        """A request is under way."""
        self._running[record.id] = record

    def ended(self, record: Record) -> None:
        """It is no longer."""
        self._running.pop(record.id, None)

    def add(self, facts: RequestFacts) -> None:
        """Write a row soon."""
        self._waiting.append(facts)

    async def close(self) -> None:
        # Not cancelled: the rows that are being written just now are in no queue.
        self._closing.set()
        await asyncio.wait({self._runner})
        await self.flush()

    async def flush(self) -> None:
        """Write what is waiting; where the database is away it waits on. What can't be written is given up."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            try:
                await in_thread(requests.note, batch)
            except (OperationalError, InterfaceError, OSError) as error:
                log.warning("rows of %s requests wait for the database: %s", len(batch), str(error).strip())
                room = MAX_WAITING - len(self._waiting)
                self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
                return
            except Exception:
                log.exception("rows of %s requests could not be written", len(batch))
                await self._rescue(batch)

    async def _rescue(self, batch: list[RequestFacts]) -> None:
        """Write the rows one by one: one that the database can't take must not cost its neighbors theirs."""
        for row in batch if len(batch) > 1 else ():
            try:
                await in_thread(requests.note, [row])
            except Exception as error:
                log.error("the row of %s is lost: %s", ids.public("request", row.id), str(error).strip())

    async def _run(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), FLUSH_SECONDS)
            self._note_long_ones()
            await self.flush()

    def _note_long_ones(self) -> None:
        for record in self._running.values():
            if record.age < LONG_SECONDS:
                return  # and so are all that came later
            if not record.noted:
                record.noted = True
                self.add(record.started())
