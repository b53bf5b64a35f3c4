"""One request's part of what all visitors of a playground may spend in a day.

The hold limits the visitor; this limits the link. What the request can cost at the worst is counted before the hold is
placed, and corrected by what it cost in the end. Of a process that dies in between it stays counted for that day: a
link may be refused too early, never too late.
"""

import asyncio
import logging
import uuid
from datetime import UTC, date, datetime, time, timedelta

from django.db import Error

from config.db import in_thread
from config.errors import Unavailable
from ledger.errors import SpendLimitReached
from paywalls import playgrounds
from proxy.gateway import Gateway

log = logging.getLogger("tollgate.gateway")


class LinkSpent(SpendLimitReached):
    """The link's day has no room for the request."""

    def __init__(self, limit: int, used: int) -> None:
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        super().__init__("day", limit, used, datetime.combine(tomorrow, time.min, UTC))


class LinkBudget:
    """At most one amount at a time; counted apart from the request's own task, which a visitor who leaves cancels."""

    def __init__(self, gateway: Gateway, playground_id: uuid.UUID) -> None:
        self._gateway = gateway
        self._playground_id = playground_id
        self._taking: asyncio.Task[LinkSpent | Unavailable | None] | None = None
        self._day: date | None = None
        self._amount = 0

    async def take(self, amount: int, limit: int) -> LinkSpent | None:
        """Count `amount` nano-dollars in place of what was counted before; None, or why not. Raises Unavailable."""
        self._taking = self._gateway.spawn(self._take(amount, limit))
        outcome = await asyncio.shield(self._taking)
        if isinstance(outcome, Unavailable):
            raise outcome
        return outcome

    async def settle(self, charged: int) -> None:
        """The request has ended and cost `charged` nano-dollars."""
        if self._taking:
            await asyncio.wait({self._taking})
        try:
            await self._correct(charged)
        except Error:
            log.exception("what a playground's link spent can't be corrected: it stays at the worst case")

    async def _take(self, amount: int, limit: int) -> LinkSpent | Unavailable | None:
        try:
            await self._correct(0)
            outcome = await in_thread(playgrounds.take, self._playground_id, amount, limit)
        except Error:
            log.exception("what a playground's link spends can't be counted")
            return Unavailable("The ledger is busy; nothing was charged. Try again shortly.")
        if isinstance(outcome, int):
            return LinkSpent(limit, outcome)
        self._day, self._amount = outcome, amount
        return None

    async def _correct(self, charged: int) -> None:
        day, self._day = self._day, None
        if day and charged != self._amount:
            change = charged - self._amount
            await in_thread(playgrounds.correct, self._playground_id, day, change)
