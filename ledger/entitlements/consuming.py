"""Check and count in one step: the counter's row is locked first, so that a HARD limit holds whoever asks at once."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from config import ids
from ledger.entitlements import facts as reading
from ledger.entitlements.rules import Facts, Verdict, decide
from ledger.models import FeatureUse

# What one call may count: far from the end of a BIGINT.
MAX_UNITS = 10**9
# How long a key is remembered: the event that reports its use comes within a month.
KEPT = timedelta(days=35)


class UseKeyReused(Exception):
    """The key has counted another use: of another user or feature, or of other units."""


def read(tenant_id: uuid.UUID, user_id: str, feature_id: str, team_id: str = "") -> Facts:
    """What a verdict about this user and feature depends on, as it is now; `team_id` is the team that pays."""
    statement = reading.of_tenant(tenant_id, user_id, feature_id, team_id)
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.params)
        [row] = cursor.fetchall()
    return reading.facts(row)


def consume(
    tenant_id: uuid.UUID,
    user_id: str,
    feature_id: str,
    *,
    units: int,
    cost: int,
    key: str | None,
    answer: Callable[[Facts, Verdict], dict[str, Any]],
    team_id: str = "",
) -> dict[str, Any]:
    """Count `units` uses where the verdict allows all of them; what `answer` says of it.

    With a `key` it counts once: the same again gets the first answer. A refusal counts nothing and claims no key.
    Raises UseKeyReused.
    """
    try:
        with transaction.atomic():
            _lock_counter(tenant_id, user_id, feature_id)
            if key and (seen := _answered(tenant_id, key, user_id, feature_id, units)) is not None:
                return seen
            facts = read(tenant_id, user_id, feature_id, team_id)
            decided = decide(facts, cost=cost, units=units, team_pays=bool(team_id))
            told = answer(facts, decided)
            if decided.allowed:
                _count(tenant_id, user_id, feature_id, facts, units)
                if key:
                    FeatureUse.objects.create(
                        tenant_id=tenant_id,
                        key=key,
                        user_id=user_id,
                        feature_id=feature_id,
                        units=units,
                        answer=told,
                    )
            return told
    except IntegrityError:
        # Another user's or feature's counter was locked when somebody used the same key.
        if key and FeatureUse.objects.filter(tenant_id=tenant_id, key=key).exists():
            raise UseKeyReused from None
        raise


def forget_old() -> int:
    """Remove keys that are older than `KEPT`; how many."""
    removed, _ = FeatureUse.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    return removed


def _lock_counter(tenant_id: uuid.UUID, user_id: str, feature_id: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ledger_featureusage
                (id, tenant_id, user_id, feature_id, day, day_used, month_used, total_used)
            VALUES (%s, %s, %s, %s, (clock_timestamp() AT TIME ZONE 'UTC')::date, 0, 0, 0)
            ON CONFLICT DO NOTHING
            """,
            (ids.new(), tenant_id, user_id, feature_id),
        )
        cursor.execute(
            """
            SELECT FROM ledger_featureusage WHERE tenant_id = %s AND feature_id = %s AND user_id = %s
            FOR NO KEY UPDATE
            """,
            (tenant_id, feature_id, user_id),
        )


def _answered(
    tenant_id: uuid.UUID, key: str, user_id: str, feature_id: str, units: int
) -> dict[str, Any] | None:
    use = FeatureUse.objects.filter(tenant_id=tenant_id, key=key).first()
    if use is None:
        return None
    if (use.user_id, use.feature_id, use.units) != (user_id, feature_id, units):
        raise UseKeyReused
    return dict(use.answer)


def _count(tenant_id: uuid.UUID, user_id: str, feature_id: str, facts: Facts, units: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_count_uses(%s::uuid[], %s::text[], %s::text[], %s::date[], %s::bigint[])",
            ([tenant_id], [user_id], [feature_id], [facts.today], [units]),
        )
