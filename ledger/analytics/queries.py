"""What was used in a range: sums of roll-ups and of the increments that are not in them yet, in one statement.

The two halves are one snapshot, so that a roll-up that runs meanwhile counts nothing twice. No raw row is read.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection

from ledger.analytics.rollups import MEASURES

HOUR = timedelta(hours=1)

# What can be grouped by; a bucket is the day, week or month of the hour.
DIMENSIONS = ("feature_id", "provider", "model", "event_type", "paywall_id")
BUCKETS = ("hour", "day", "week", "month")


@dataclass(frozen=True, slots=True)
class Sums:
    """What was used; see `ledger.models.rollup.Measures`. Money in nano-dollars."""

    events: int = 0
    errors: int = 0
    blocked: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    charged: int = 0
    cost: int = 0
    uncosted: int = 0

    @property
    def all_input_tokens(self) -> int:
        """What was read, from a cache or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def margin(self) -> int:
        """What is left of the revenue after the providers' costs, as far as these are known (nano-dollars)."""
        return self.charged - self.cost


assert tuple(each.name for each in fields(Sums)) == MEASURES


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose use, of what, when: whole hours (UTC) from `since` until before `until`. No value for a filter is all."""

    tenants: Sequence[uuid.UUID]
    since: datetime
    until: datetime
    filters: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """One line of an answer: what it is grouped by, in order, and its sums."""

    key: tuple[Any, ...]
    sums: Sums


def whole_hours(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The range widened to whole hours (UTC), which is as exact as roll-ups are."""
    return _floor(since), _floor(until - timedelta(microseconds=1)) + HOUR


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def grouped(
    selection: Selection, *groupings: tuple[str, ...], bucket: str = "day", limit: int = 10_000
) -> list[list[Group]]:
    """The sums by each grouping, of one moment. A grouping is a tuple of DIMENSIONS and "bucket"; () is the total.

    Each list is in the order of its keys. At most `limit` lines in all.
    """
    assert bucket in BUCKETS
    names = [name for name in ("bucket", *DIMENSIONS) if any(name in grouping for grouping in groupings)]
    sets = ", ".join(f"({', '.join(grouping)})" for grouping in groupings)
    where, params = _where(selection)
    half = f"SELECT date_trunc('{bucket}', hour, 'UTC') AS bucket, {', '.join((*DIMENSIONS, *MEASURES))} FROM"
    statement = f"""
        SELECT {f"GROUPING({', '.join(names)})" if names else "0"}, {"".join(f"{name}, " for name in names)}{_SUMS}
        FROM ({half} ledger_usagehour WHERE {where} UNION ALL {half} ledger_usageincrement WHERE {where}) used
        GROUP BY GROUPING SETS ({sets})
        {f"ORDER BY {', '.join(names)}" if names else ""} LIMIT {limit}
    """  # noqa: S608  (names of ours)
    answers: dict[int, list[Group]] = {_mask(grouping, names): [] for grouping in groupings}
    by_mask = {_mask(grouping, names): grouping for grouping in groupings}
    for mask, *values in _rows(statement, params * 2):
        key = dict(zip(names, values, strict=False))
        group = Group(tuple(key[name] for name in by_mask[mask]), Sums(*values[len(names) :]))
        answers[mask].append(group)
    return [answers[_mask(grouping, names)] for grouping in groupings]


def total(selection: Selection) -> Sums:
    """The sums of everything selected."""
    [[group]] = grouped(selection, ())
    return group.sums


def burned_by_day(tenant_id: uuid.UUID, since: date, user_id: str | None = None) -> dict[date, int]:
    """What was charged on each day (UTC) since then, in nano-dollars; of one end user where one is named."""
    table, day = ("ledger_usageday", "day") if user_id else ("ledger_usagehour", _DAY_OF_HOUR)
    named = " AND user_id = %s" if user_id else ""
    start = since if user_id else datetime.combine(since, datetime.min.time(), UTC)
    statement = f"""
        SELECT day, SUM(charged)::bigint FROM (
            SELECT {day} AS day, charged FROM {table}
            WHERE tenant_id = %s AND {"day" if user_id else "hour"} >= %s{named}
            UNION ALL
            SELECT {_DAY_OF_HOUR}, charged FROM ledger_usageincrement WHERE tenant_id = %s AND hour >= %s{named}
        ) burned GROUP BY day
    """  # noqa: S608
    user = [user_id] if user_id else []
    since_hour = datetime.combine(since, datetime.min.time(), UTC)
    return dict(_rows(statement, [tenant_id, start, *user, tenant_id, since_hour, *user]))


_SUMS = ", ".join(f"COALESCE(SUM({name}), 0)::bigint AS {name}" for name in MEASURES)
_DAY_OF_HOUR = "(hour AT TIME ZONE 'UTC')::date"


def _mask(grouping: tuple[str, ...], names: Sequence[str]) -> int:
    """PostgreSQL's GROUPING(): a bit for each name that is not grouped by, the first name's the highest."""
    return sum(1 << (len(names) - 1 - at) for at, name in enumerate(names) if name not in grouping)


def _where(selection: Selection) -> tuple[str, list[Any]]:
    where = ["tenant_id = ANY(%s)", "hour >= %s", "hour < %s"]
    params: list[Any] = [list(selection.tenants), selection.since, selection.until]
    for name, values in selection.filters.items():
        assert name in DIMENSIONS
        where.append(f"{name} = ANY(%s)")
        params.append(list(values))
    return " AND ".join(where), params


def _rows(statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()
