"""What an operator looks at first: figures of a range of days beside those of the range before.

From the same roll-ups and increments as all other figures (`queries.py`); amounts are nano-dollars, days are UTC.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from ledger.analytics import queries
from ledger.analytics.queries import Group, Selection, Sums

# Up to so many days a chart shows hours, days, weeks.
_BUCKETS = ((2, "hour"), (92, "day"), (400, "week"))
MAX_DAYS = 3 * 366
TOP = 10


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
class Payer:
    """An end user, and what they asked for and paid."""

    user_id: str
    events: int
    charged: int


@dataclass(frozen=True, slots=True)
class Payers:
    """How many end users paid, then and before, and who paid most."""

    now: int
    before: int
    top: Sequence[Payer]


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


def payers(
    tenants: Sequence[uuid.UUID], asked: Period, paywalls: Sequence[uuid.UUID] = (), limit: int = TOP
) -> Payers:
    """Who paid on the whole days that the period and the one before touch.

    Apart from the rest: it reads a row for each user and day, the rest some for each hour.
    """
    statement, params = _each(*_selections(tenants, asked, paywalls))
    with transaction.atomic(), connection.cursor() as cursor:
        # Tens of thousands of users are summed in memory; compiling the query takes longer than it saves.
        cursor.execute("SET LOCAL work_mem = '64MB'; SET LOCAL jit = off")
        cursor.execute(
            f"""
            WITH each AS MATERIALIZED ({statement})
            SELECT '', COUNT(*) FILTER (WHERE charged > 0), COUNT(*) FILTER (WHERE charged_before > 0) FROM each
            UNION ALL (
                SELECT user_id, events, charged FROM each WHERE events > 0 OR charged > 0
                ORDER BY charged DESC, events DESC, user_id LIMIT %s
            )
            """,  # noqa: S608  (names of ours)
            [*params, limit],
        )
        (_, paid, paid_before), *top = cursor.fetchall()
    return Payers(paid, paid_before, [Payer(*row) for row in top])


def _selections(
    tenants: Sequence[uuid.UUID], asked: Period, paywalls: Sequence[uuid.UUID]
) -> tuple[Selection, Selection]:
    filters = {"paywall_id": list(paywalls)} if paywalls else {}
    return (
        Selection(tenants, asked.since, asked.until, filters),
        Selection(tenants, *asked.before, filters),
    )


def _each(now: Selection, before: Selection) -> tuple[str, list[Any]]:
    """Each end user's use in both periods; the days of a period follow on those of the one before."""
    start, after_before = queries.whole_days(before)
    first, after = queries.whole_days(now)
    paywalls = list(now.filters.get("paywall_id", ()))
    of_paywalls = " AND paywall_id = ANY(%s)" if paywalls else ""
    chosen = [paywalls] if paywalls else []
    tenants = list(now.tenants)
    midnights = [datetime.combine(day, datetime.min.time(), UTC) for day in (start, after)]
    return (
        f"""
        SELECT user_id,
            COALESCE(SUM(events) FILTER (WHERE day >= %s), 0)::bigint AS events,
            COALESCE(SUM(charged) FILTER (WHERE day >= %s), 0)::bigint AS charged,
            COALESCE(SUM(charged) FILTER (WHERE day < %s), 0)::bigint AS charged_before
        FROM (
            SELECT tenant_id, user_id, day, events, charged FROM ledger_usageday
            WHERE tenant_id = ANY(%s) AND day >= %s AND day < %s{of_paywalls}
            UNION ALL
            SELECT tenant_id, user_id, (hour AT TIME ZONE 'UTC')::date, events, charged FROM ledger_usageincrement
            WHERE tenant_id = ANY(%s) AND hour >= %s AND hour < %s AND user_id <> ''{of_paywalls}
        ) used GROUP BY tenant_id, user_id
        """,  # noqa: S608
        [first, first, after_before, tenants, start, after, *chosen, tenants, *midnights, *chosen],
    )
