"""How many requests a minute a caller of the metering API makes: counted in Redis, or in the process without one."""

import logging
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

log = logging.getLogger("tollgate.ratelimit")


@dataclass(frozen=True, slots=True)
class Window:
    """The caller's minute: `remaining` of `limit` requests until `resets_at` (seconds since 1970)."""

    limit: int
    remaining: int
    resets_at: int
    allowed: bool

    @property
    def retry_after(self) -> int:
        """Seconds until the window ends, at least one."""
        return max(1, self.resets_at - int(time.time()))

    @property
    def headers(self) -> dict[str, str]:
        """What every answer says about it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.resets_at),
        }


def count(caller: str, per_minute: int) -> Window | None:
    """Count a request of the caller; None where nothing limits it.

    That is also so while Redis is away: this limit keeps neighbors apart, it guards no money.
    """
    if not per_minute:
        return None
    item = RateLimitItemPerMinute(per_minute)
    try:
        allowed = _limiter().hit(item, "metering", caller)
        stats = _limiter().get_window_stats(item, "metering", caller)
    except StorageError:
        log.exception("rate limits can't be counted: requests pass")
        return None
    return Window(per_minute, stats.remaining, round(stats.reset_time), allowed)


@cache
def _limiter() -> FixedWindowRateLimiter:
    storage = storage_from_string(settings.REDIS_URL or "memory://", wrap_exceptions=True)
    return FixedWindowRateLimiter(storage)
