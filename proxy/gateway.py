"""What one server process keeps for all its requests: the HTTP client, the books' queue, caches, detached work."""

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

import aiohttp
from django.conf import settings

from config.db import connection_parameters
from ledger.entitlements.estimates import BurnTables
from ledger.group_commit import GroupCommit
from paywalls.users import UserRef
from proxy import tokens, upstream
from proxy.checks import Checks
from proxy.journal import Journal
from proxy.limits.counters import Counters
from proxy.responder import Responder
from proxy.routing import Routing
from proxy.snapshot import Snapshots

log = logging.getLogger("tollgate.gateway")

# End users whose wallet one process remembers, so that a hold needs no look-up. A wallet's key never changes.
MAX_CACHED_WALLETS = 100_000


class Gateway:
    """Made when the server starts, closed when it stops; holds no state that is not also in the database."""

    def __init__(self) -> None:
        self.session: aiohttp.ClientSession = upstream.new_session()
        self.books = GroupCommit(connection_parameters)
        self.checks = Checks(connection_parameters)
        self.burn_tables = BurnTables()
        self.snapshots = Snapshots()
        self.routing = Routing()
        self.journal = Journal()
        self.counters = Counters(settings.REDIS_URL)
        self.responder = Responder()
        self._wallets: OrderedDict[UserRef, tuple[uuid.UUID, uuid.UUID | None]] = OrderedDict()
        self._detached: set[asyncio.Task[Any]] = set()
        # The first estimate should not wait for the encoding to be read.
        self.spawn(asyncio.to_thread(tokens.warm))

    def wallet(self, user: UserRef) -> tuple[uuid.UUID | UserRef, uuid.UUID | None]:
        """The user's account where this process has seen it, else the user; and the connection through which it pays.

        A connection may have ended since: the hold looks.
        """
        known = self._wallets.get(user)
        if known is None:
            return user, None
        self._wallets.move_to_end(user)
        return known

    def forget_wallet(self, user: UserRef) -> bool:
        """Whether it was remembered."""
        return self._wallets.pop(user, None) is not None

    def remember_wallet(self, user: UserRef, account_id: uuid.UUID, connection: uuid.UUID | None) -> None:
        self._wallets[user] = (account_id, connection)
        if len(self._wallets) > MAX_CACHED_WALLETS:
            self._wallets.popitem(last=False)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run work that must end even where its request is cancelled; `close()` waits for it."""
        task = asyncio.create_task(work)
        self._detached.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._detached.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("detached work failed", exc_info=error)

    async def close(self) -> None:
        """Let every settlement end, write the last rows, then close the ledger's connection and the client."""
        while self._detached:
            await asyncio.wait(self._detached)
        await self.counters.close()
        await self.checks.close()
        await self.journal.close()
        await self.books.close()
        await self.session.close()
        await self.responder.close()
