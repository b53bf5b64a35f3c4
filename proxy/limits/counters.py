"""Who counts for this process: Redis where there is one and it answers, else the process itself.

While Redis is away each process counts for itself, from nothing: nobody waits, nobody is refused who kept to the
limits, and what spends money is held by the ledger all the same.
"""

import time
from collections import OrderedDict

from proxy.limits.memory_counters import MemoryCounters
from proxy.limits.redis_counters import RedisCounters
from proxy.limits.windows import WINDOW

# Refusals remembered by one process, so that each is told by event once a minute.
MAX_TOLD = 10_000


class Counters:
    """What a gateway counts with. `shared` is None without Redis."""

    def __init__(self, redis_url: str) -> None:
        self.own = MemoryCounters()
        self.shared = RedisCounters(redis_url) if redis_url else None
        self._told: OrderedDict[str, float] = OrderedDict()

    @property
    def state(self) -> str:
        """For operators: "ok", or "local" where Redis should count and is away."""
        return "local" if self.shared and self.shared.away else "ok"

    async def is_news(self, key: str) -> bool:
        """Whether this was last said a minute ago or more: a client that hammers must not make a flood of events.

        By any process, where Redis answers; one asks it once a minute for each key.
        """
        if not self._is_news_here(key):
            return False
        return self.shared is None or self.shared.away or await self.shared.is_news(key)

    def _is_news_here(self, key: str) -> bool:
        now = time.monotonic()
        if now < self._told.get(key, 0.0):
            return False
        self._told[key] = now + WINDOW
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        return True

    async def close(self) -> None:
        """Give back what is waiting to be."""
        if self.shared:
            await self.shared.close()
