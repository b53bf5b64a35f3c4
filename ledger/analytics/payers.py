"""How many end users paid in a period and the one before, and who paid most: exact now, in nano-dollars, by UTC days.

A row for each user and day would be too many to read. The counts are of `PayerDay`, which has no row for a user; those
who paid most are looked for among whoever paid enough in the months that the period touches.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from ledger.analytics.overview import Period

TOP = 10
# Of so many who paid most in whole months the days are summed first: the last of their best is the bar.
_LIKELY = 5 * TOP
# Where more than so many may be above the bar, everybody's days are summed at once.
_EACH_BY_THEMSELVES = 2_000


@dataclass(frozen=True, slots=True)
class Payer:
    """An end user, and what they paid."""

    user_id: str
    charged: int


@dataclass(frozen=True, slots=True)
class Payers:
    """How many end users paid, then and before, and who paid most."""

    now: int
    before: int
    top: Sequence[Payer]


def payers(tenants: Sequence[uuid.UUID], asked: Period, paywall: uuid.UUID | None = None) -> Payers:
    """Who paid on the whole days of the period and of the one before; of all paywalls where none is named."""
    whose = {"tenants": list(tenants), "paywall": paywall}
    first, after = asked.first, asked.last + timedelta(days=1)
    with transaction.atomic(), connection.cursor() as cursor:
        # Tens of thousands of users are summed in memory; compiling takes longer than it saves, and workers' sums
        # would have to be summed once more.
        cursor.execute(
            "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0"
        )

        def count(first: date, after: date) -> int:
            cursor.execute(_count(paywall), whose | _days(first, after))
            [(users,)] = cursor.fetchall()
            return int(users)

        now, before = count(first, after), count(first - (after - first), first)
        cursor.execute(_top(paywall), whose | _days(first, after) | _months(asked))
        return Payers(now, before, [Payer(*row) for row in cursor.fetchall()])


def _days(first: date, after: date) -> dict[str, Any]:
    return {"first": first, "after": after, "since": _midnight(first), "until": _midnight(after)}


def _months(asked: Period) -> dict[str, Any]:
    """The months that the period touches."""
    first = asked.first.replace(day=1)
    after = (asked.last.replace(day=1) + timedelta(days=31)).replace(day=1)
    return {
        "month": first,
        "month_after": after,
        "month_since": _midnight(first),
        "month_until": _midnight(after),
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def _count(paywall: uuid.UUID | None) -> str:
    """Whoever paid is counted on their first of the days; and who is only in increments, where no day is theirs."""
    return f"""
        SELECT (
            SELECT COALESCE(SUM(users), 0) FROM ledger_payerday
            WHERE tenant_id = ANY(%(tenants)s) AND paywall_id {"= %(paywall)s" if paywall else "IS NULL"}
                AND day >= %(first)s AND day < %(after)s AND (last_paid < %(first)s OR last_paid IS NULL)
        ) + (
            SELECT COUNT(*) FROM (
                SELECT tenant_id, user_id FROM ledger_usageincrement WHERE {_increments(paywall)}
                GROUP BY tenant_id, user_id HAVING SUM(charged) > 0
            ) waiting WHERE NOT EXISTS (
                SELECT FROM ledger_usageday d WHERE {_users_days("waiting", paywall)} AND charged > 0
            )
        )
    """  # noqa: S608  (names of ours)


def _top(paywall: uuid.UUID | None) -> str:
    """A user's months are at least their days, so nobody below the bar can be among the best."""
    spent = f"""
        CROSS JOIN LATERAL (
            SELECT COALESCE(SUM(charged), 0)::bigint AS charged FROM (
                SELECT charged FROM ledger_usageday WHERE {_users_days("each_user", paywall)}
                UNION ALL
                SELECT charged FROM ledger_usageincrement
                WHERE {_increments(paywall)} AND tenant_id = each_user.tenant_id AND user_id = each_user.user_id
            ) days
        ) spent
    """  # noqa: S608
    of_paywall = _of(paywall)
    return f"""
        WITH each_user AS MATERIALIZED (
            SELECT tenant_id, user_id, SUM(charged)::bigint AS most FROM (
                SELECT tenant_id, user_id, charged FROM ledger_payermonth
                WHERE tenant_id = ANY(%(tenants)s) AND month >= %(month)s AND month < %(month_after)s{of_paywall}
                UNION ALL
                SELECT tenant_id, user_id, charged FROM ledger_usageincrement
                WHERE {_increments(paywall, "month_since", "month_until")}
            ) months GROUP BY tenant_id, user_id
        ), bar AS MATERIALIZED (
            SELECT GREATEST(MIN(charged), 1) AS charged FROM (
                SELECT spent.charged FROM (SELECT * FROM each_user ORDER BY most DESC LIMIT {_LIKELY}) each_user {spent}
                ORDER BY charged DESC LIMIT {TOP}
            ) likely
        ), above AS MATERIALIZED (
            SELECT tenant_id, user_id FROM each_user WHERE most >= (SELECT charged FROM bar)
        )
        SELECT user_id, charged FROM (
            SELECT user_id, charged FROM above each_user {spent}
            WHERE (SELECT COUNT(*) FROM above) <= {_EACH_BY_THEMSELVES}
            UNION ALL
            SELECT user_id, SUM(charged)::bigint FROM (
                SELECT tenant_id, user_id, charged FROM ledger_usageday
                WHERE tenant_id = ANY(%(tenants)s) AND day >= %(first)s AND day < %(after)s{of_paywall}
                UNION ALL
                SELECT tenant_id, user_id, charged FROM ledger_usageincrement WHERE {_increments(paywall)}
            ) days
            WHERE (SELECT COUNT(*) FROM above) > {_EACH_BY_THEMSELVES} GROUP BY tenant_id, user_id
        ) summed WHERE charged > 0 ORDER BY charged DESC, user_id LIMIT {TOP}
    """  # noqa: S608


def _increments(paywall: uuid.UUID | None, since: str = "since", until: str = "until") -> str:
    of_users = "tenant_id = ANY(%(tenants)s) AND user_id <> ''"
    return f"{of_users} AND hour >= %({since})s AND hour < %({until})s{_of(paywall)}"


def _users_days(whose: str, paywall: uuid.UUID | None) -> str:
    user = f"tenant_id = {whose}.tenant_id AND user_id = {whose}.user_id"
    return f"{user} AND day >= %(first)s AND day < %(after)s{_of(paywall)}"


def _of(paywall: uuid.UUID | None) -> str:
    return " AND paywall_id = %(paywall)s" if paywall else ""
