"""How an endpoint is doing, and what follows: breaker, lane, deactivation, the time of the next try. Pure."""

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

# Failures in a row that open an endpoint's breaker, and for how long (doubling with each further one).
BREAKER_FAILURES = 5
BREAKER_SECONDS = 30.0
MAX_BREAKER_SECONDS = 15 * 60.0

# An endpoint that takes longer than this to answer gets few workers.
SLOW_MILLISECONDS = 3_000

# Deliveries that must have ended without success before days of failure deactivate an endpoint.
MIN_FAILED_DELIVERIES = 3

# These say that trying again won't help.
FINAL_STATUSES = frozenset({400, 401, 403, 404, 410, 422})
# While both secrets of a rotation sign, these may only mean that the endpoint has not switched yet.
_UNAUTHORIZED = frozenset({401, 403})

MAX_RETRY_AFTER = 3_600.0


class Verdict(enum.Enum):
    """What an attempt makes of its delivery."""

    SUCCEEDED = "succeeded"
    RETRY = "retrying"
    REFUSED = "refused"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Health:
    """An endpoint's record since its last success."""

    consecutive_failures: int = 0
    failing_since: datetime | None = None
    failed_deliveries: int = 0
    open_until: datetime | None = None
    is_slow: bool = False


def judge(status: int | None, attempts: int, max_attempts: int, *, rotating: bool) -> Verdict:
    """What the answer to the `attempts`-th attempt means (`status` None: there was no answer)."""
    if status is not None and 200 <= status < 300:
        return Verdict.SUCCEEDED
    if status in FINAL_STATUSES and not (rotating and status in _UNAUTHORIZED):
        return Verdict.REFUSED
    return Verdict.EXHAUSTED if attempts >= max_attempts else Verdict.RETRY


def after(health: Health, verdict: Verdict, milliseconds: int, now: datetime) -> Health:
    """The endpoint's record after one more attempt."""
    if verdict is Verdict.SUCCEEDED:
        return Health(is_slow=milliseconds > SLOW_MILLISECONDS)
    failed = replace(
        health,
        failing_since=health.failing_since or now,
        # Only what has ended counts: deliveries that still wait would hide, or invent, failures.
        failed_deliveries=health.failed_deliveries + (verdict is not Verdict.RETRY),
    )
    if verdict is Verdict.REFUSED:
        # It is there, and says no to this one; others may pass.
        return replace(failed, open_until=None, is_slow=milliseconds > SLOW_MILLISECONDS)
    failed = replace(failed, consecutive_failures=health.consecutive_failures + 1)
    over = failed.consecutive_failures - BREAKER_FAILURES
    if over < 0:
        return replace(failed, is_slow=True)
    pause = min(BREAKER_SECONDS * 2 ** min(over, 16), MAX_BREAKER_SECONDS)
    return replace(failed, is_slow=True, open_until=now + timedelta(seconds=pause))


def should_disable(health: Health, now: datetime, days: float) -> bool:
    """Whether an endpoint has failed for so long that it is deactivated."""
    return (
        health.failing_since is not None
        and health.failed_deliveries >= MIN_FAILED_DELIVERIES
        and now - health.failing_since >= timedelta(days=days)
    )


def retry_in(
    attempts: int,
    base: float,
    retry_after: float | None,
    spread: Callable[[float, float], float] = random.uniform,
) -> float:
    """Seconds until the next attempt: `base` doubling, 20% jitter, not before what the endpoint asks for."""
    backoff = base * 2.0 ** (attempts - 1) * spread(0.8, 1.2)
    return max(backoff, min(max(retry_after or 0.0, 0.0), MAX_RETRY_AFTER))
