"""What an operator looks at first: figures of a range of days beside those of the range before.

From the same roll-ups and increments as all other figures (`queries.py`); amounts are nano-dollars, days are UTC.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ledger.analytics import queries
from ledger.analytics.queries import Group, Selection, Sums

# Up to so many days a chart shows hours, days, weeks.
_BUCKETS = ((2, "hour"), (92, "day"), (400, "week"))
MAX_DAYS = 3 * 366


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, both included, as far as they have gone; and as long a stretch of time just before them.

    Today's figures until three o'clock stand beside yesterday's until three o'clock.
    """

    first: date
    last: date
    until: datetime

    @property
    def days(self) -> int:
        """How many days there are."""
        return (self.last - self.first).days + 1

    @property
    def since(self) -> datetime:
        """The first day's midnight."""
        return datetime.combine(self.first, datetime.min.time(), UTC)

    @property
    def before(self) -> tuple[datetime, datetime]:
        """From when until when the period before goes."""
        back = timedelta(days=self.days)
        return self.since - back, self.until - back

    @property
    def bucket(self) -> str:
        """What a chart shows one point for."""
        return next((name for days, name in _BUCKETS if self.days <= days), "month")

    def starts(self) -> Iterator[datetime]:
        """When each of its buckets begins; the first may lie before it."""
        start = self.since
        if self.bucket == "week":
            start -= timedelta(days=start.weekday())
        elif self.bucket == "month":
            start = start.replace(day=1)
        while start < self.until:
            yield start
            start = _next(start, self.bucket)


def _next(start: datetime, bucket: str) -> datetime:
    if bucket == "month":
        return (start + timedelta(days=31)).replace(day=1)
    return start + {"hour": queries.HOUR, "day": timedelta(days=1), "week": timedelta(days=7)}[bucket]


def period(first: date, last: date, now: datetime) -> Period:
    """The period from one day to another, cut at today, its first day and MAX_DAYS."""
    last = min(last, now.astimezone(UTC).date())
    first = max(min(first, last), last - timedelta(days=MAX_DAYS - 1))
    _, this_hour = queries.whole_hours(now, now + timedelta(microseconds=1))
    midnight = datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC)
    return Period(first, last, min(this_hour, midnight))


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of a period. `models` are groups by (model), those that earned most first."""

    period: Period
    now: Sums
    before: Sums
    timeline: Sequence[tuple[datetime, Sums]]
    models: Sequence[Group]


def overview(tenants: Sequence[uuid.UUID], asked: Period, paywalls: Sequence[uuid.UUID] = ()) -> Overview:
    """The figures of these tenants, of all their paywalls where none is named."""
    now, before = _selections(tenants, asked, paywalls)
    [all_of_it], timeline, models = queries.grouped(now, (), ("bucket",), ("model",), bucket=asked.bucket)
    at = {group.key[0]: group.sums for group in timeline}
    return Overview(
        asked,
        all_of_it.sums,
        queries.total(before),
        [(start, at.get(start, Sums())) for start in asked.starts()],
        sorted(models, key=lambda group: -group.sums.charged),
    )


def _selections(
    tenants: Sequence[uuid.UUID], asked: Period, paywalls: Sequence[uuid.UUID]
) -> tuple[Selection, Selection]:
    filters = {"paywall_id": list(paywalls)} if paywalls else {}
    return (
        Selection(tenants, asked.since, asked.until, filters),
        Selection(tenants, *asked.before, filters),
    )
