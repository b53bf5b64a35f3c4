"""What verdicts depend on, read by one statement for any number of questions at once.

Everything is found by a key (the entitlement, the counter, the wallet), so it costs the same however much is stored.
"""

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from config.sql import Statement, array
from ledger.entitlements.questions import Question
from ledger.entitlements.rules import UNLIMITED, Facts, Limit, Wallet
from ledger.entitlements.windows import UNUSED, Counter
from ledger.models import Transfer

# The counter as of today, with the uses that no roll-up has added to it yet.
_COLUMNS = """
    clock.today, COALESCE(own.limit_type, everybody.limit_type),
    CASE WHEN own.id IS NULL THEN everybody.limit_value ELSE own.limit_value END,
    COALESCE(own.period, everybody.period),
    CASE WHEN c.day IS NOT NULL OR fresh.ever IS NOT NULL THEN clock.today END,
    CASE WHEN c.day = clock.today THEN c.day_used ELSE 0 END + COALESCE(fresh.on_day, 0),
    CASE WHEN c.day >= date_trunc('month', clock.today) THEN c.month_used ELSE 0 END + COALESCE(fresh.in_month, 0),
    COALESCE(c.total_used, 0) + COALESCE(fresh.ever, 0), w.posted - w.held, COALESCE(lapsed.amount, 0), last.kind
"""
# The rows of `t` are tenants, beside `a` (user_id, feature_id, team_id, n). The wallet is the team's where one is
# named. COALESCE keeps the planner from the index of everybody's expiries while the tables are small.
_FOUND = """
    CROSS JOIN LATERAL (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today OFFSET 0) clock
    LEFT JOIN ledger_entitlement own
        ON own.tenant_id = t.id AND own.feature_id = a.feature_id AND own.user_id = a.user_id
    LEFT JOIN ledger_entitlement everybody
        ON everybody.tenant_id = t.id AND everybody.feature_id = a.feature_id AND everybody.user_id = ''
    LEFT JOIN ledger_featureusage c
        ON c.tenant_id = t.id AND c.feature_id = a.feature_id AND c.user_id = a.user_id
    LEFT JOIN LATERAL (
        SELECT SUM(i.uses)::bigint AS ever, SUM(i.uses) FILTER (WHERE i.used_on = clock.today)::bigint AS on_day,
            SUM(i.uses) FILTER (WHERE i.used_on >= date_trunc('month', clock.today))::bigint AS in_month
        FROM ledger_usageincrement i
        WHERE i.tenant_id = t.id AND i.user_id = a.user_id AND i.feature_id = a.feature_id
    ) fresh ON true
    LEFT JOIN LATERAL (
        SELECT own.* FROM paywalls_paywall home
        JOIN paywalls_enduser u ON u.paywall_id = home.id AND u.external_id = a.user_id
        JOIN ledger_account own ON own.user_id = u.id
        WHERE home.tenant_id = t.id AND home.is_home AND a.team_id = ''
        UNION ALL
        SELECT shared.* FROM paywalls_team g JOIN ledger_account shared ON shared.team_id = g.id
        WHERE g.tenant_id = t.id AND g.external_id = a.team_id
    ) w ON true
    LEFT JOIN LATERAL (
        SELECT SUM(remaining)::bigint AS amount FROM ledger_lot
        WHERE w.next_expiry <= clock_timestamp() AND account_id = w.id AND is_live
            AND COALESCE(expires_at, 'infinity') <= clock_timestamp()
    ) lapsed ON true
    LEFT JOIN LATERAL (
        SELECT kind FROM ledger_transfer WHERE w.posted <= 0 AND wallet_id = w.id AND version = w.version
    ) last ON true
"""


def of_tenant(tenant_id: uuid.UUID, user_id: str, feature_id: str, team_id: str = "") -> Statement:
    """One row for `facts` about a tenant's user and feature; the wallet is the team's where one is named."""
    return Statement(
        f"""
        SELECT {_COLUMNS} FROM (VALUES (%s::text, %s::text, %s::text)) AS a(user_id, feature_id, team_id)
        JOIN paywalls_tenant t ON t.id = %s
        {_FOUND}
        """,  # noqa: S608  (names of ours)
        (user_id, feature_id, team_id, tenant_id),
    )


class Asker(NamedTuple):
    """Whose key a question came with, and what prices it: the tenant's burn tables as they are (`marks` changes with
    each change of theirs) and the operator's cost of the model, where there is one."""

    key_id: uuid.UUID
    tenant_id: uuid.UUID
    scopes: Sequence[str]
    rate_per_minute: int | None
    is_noted: bool
    credits_per_usd: int
    marks: str
    override: Sequence[Any]


def of_keys(asked: Sequence[tuple[str, Question]]) -> Statement:
    """Rows for `answered`, in order, one for each (digest of a tenant's key, question)."""
    return Statement(
        f"""
        SELECT k.id, t.id, k.scopes, limits.rate_per_minute,
            COALESCE(k.last_used_at > now() - interval '5 minutes', false), t.credits_per_usd, tables.marks,
            cost.id IS NOT NULL, cost.prompt_cost, cost.completion_cost, cost.cache_read_cost, cost.cache_write_cost,
            cost.request_cost, cost.image_cost, cost.unit_cost,
            {_COLUMNS}
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
            WITH ORDINALITY AS a(digest, user_id, feature_id, provider, model, team_id, n)
        LEFT JOIN paywalls_tenantkey k ON k.digest = a.digest AND k.revoked_at IS NULL
            AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
        LEFT JOIN paywalls_tenant t ON t.id = k.tenant_id
        LEFT JOIN paywalls_tierlimits limits ON limits.tier = t.tier
        LEFT JOIN LATERAL (
            SELECT string_agg(id::text || xmin::text, ',' ORDER BY version) AS marks FROM ledger_burntable
            WHERE tenant_id = t.id AND is_active
        ) tables ON true
        LEFT JOIN paywalls_providercost cost ON cost.provider = a.provider AND cost.model = a.model
        {_FOUND}
        ORDER BY a.n
        """,  # noqa: S608  (names of ours)
        tuple(
            array(column)
            for column in zip(
                *((key, q.user_id, q.feature_id, q.provider, q.model, q.team_id) for key, q in asked),
                strict=True,
            )
        ),
    )


def answered(row: Sequence[Any]) -> tuple[Asker, Facts] | None:
    """Who asked, and the facts, by a row of `of_keys`; None where the key is unknown, expired or revoked."""
    key_id, tenant_id, scopes, rate, is_noted, credits_per_usd, marks, is_overridden, *rest = row
    if key_id is None:
        return None
    override = rest[:7] if is_overridden else ()
    asker = Asker(key_id, tenant_id, scopes, rate, is_noted, credits_per_usd, marks or "", override)
    return asker, facts(rest[7:])


def facts(row: Sequence[Any]) -> Facts:
    """The facts in a row of these statements."""
    today, limit_type, limit_value, period, day, day_used, month_used, total_used, owned, lapsed, last = row
    return Facts(
        today,
        UNLIMITED if limit_type is None else Limit(limit_type, limit_value, period),
        UNUSED if day is None else Counter(day, day_used, month_used, total_used),
        None if owned is None else _wallet(owned, lapsed, last),
    )


def _wallet(owned: int, lapsed: int, last_kind: str | None) -> Wallet:
    # Credit whose time is over counts no more, also before the worker has taken it.
    available = owned - min(lapsed, max(0, owned))
    return Wallet(available, expired=available <= 0 and (lapsed > 0 or last_kind == Transfer.Kind.EXPIRY))
