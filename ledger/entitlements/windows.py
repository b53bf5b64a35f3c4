"""Which uses count in a window (UTC), and when it ends. Pure.

A counter knows its last day, and how often the feature was used on it, in its month and ever; that answers every
window there is, because only the current one is ever asked for.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from ledger.models import Entitlement

Period = Entitlement.Period


class Counter(NamedTuple):
    """How often a feature was used: on `day`, in its month, ever."""

    day: date | None = None
    day_used: int = 0
    month_used: int = 0
    total_used: int = 0


# The counter of a feature that was never used.
UNUSED = Counter()


def used(counter: Counter, period: str, today: date) -> int:
    """The uses in the window of `today`."""
    if period == Period.TOTAL or counter.day is None:
        return counter.total_used
    if period == Period.DAILY:
        return counter.day_used if counter.day == today else 0
    same_month = (counter.day.year, counter.day.month) == (today.year, today.month)
    return counter.month_used if same_month else 0


def resets_at(period: str, today: date) -> datetime | None:
    """When the window of `today` ends; None where it never does."""
    if period == Period.TOTAL:
        return None
    first = today + timedelta(days=1)
    if period == Period.MONTHLY:
        first = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return datetime.combine(first, time.min, UTC)
