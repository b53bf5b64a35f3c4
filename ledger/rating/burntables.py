"""Burn tables kept: made, changed, ended, and tried on what was used."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Q
from django.utils import timezone

from config import ids
from config.errors import ApiError
from ledger.metering.queries import APART
from ledger.metering.reading import AHEAD
from ledger.models import BurnTable
from ledger.rating import rules
from ledger.rating.rules import Measure
from paywalls.models import Tenant

# Events that one trial reads: a few seconds' worth. Their roundings differ, so that sums kept beforehand won't do.
MAX_TRIED = 1_000_000


@dataclass(frozen=True, slots=True)
class Trial:
    """One model's usage: events, what they burned, and what other rules would have (nano-dollars).

    `simulated` is None where neither a rule nor a cost gives a price.
    """

    model: str
    events: int
    charged: int
    simulated: int | None


def create(tenant: Tenant, **settings: Any) -> BurnTable:
    """A new version, in force at once or from `valid_from` on; then the one before it ends. Raises InvalidRule."""
    _check(settings)
    with transaction.atomic():
        version = _next_version(tenant)
        made = BurnTable(tenant=tenant, version=version, **settings)
        _end_others(made)
        made.save()
    return made


def update(table: BurnTable, **settings: Any) -> BurnTable:
    """Change a burn table. New rules are a new version under the same id. Raises InvalidRule, ApiError."""
    with transaction.atomic():
        version = _next_version(table.tenant)
        table.refresh_from_db()
        for name, value in settings.items():
            setattr(table, name, value)
        _check({"rules": table.rules, "valid_from": table.valid_from, "valid_until": table.valid_until})
        if "rules" in settings:
            table.version = version
        if settings.get("is_active"):
            _end_others(table)
        table.save()
    return table


def in_force(tenant: Tenant, moment: datetime) -> BurnTable | None:
    """The version by which usage of this moment is rated; None: by the providers' cost."""
    return (
        BurnTable.objects.filter(
            Q(valid_from=None) | Q(valid_from__lte=moment),
            Q(valid_until=None) | Q(valid_until__gt=moment),
            tenant=tenant,
            is_active=True,
        )
        .order_by("-version")
        .first()
    )


def simulate(tenant: Tenant, table: Mapping[str, Any], since: datetime, until: datetime) -> list[Trial]:
    """What the rules would have burned for what was reported in this time. Raises InvalidRule.

    The sums of each model are rated, so that it may differ by a nano-dollar an event; models without a rule are rated
    by their cost, each event up to a whole credit, as they would be. Of more than MAX_TRIED events only the newest
    are tried.
    """
    applied = rules.table(table)
    rate = tenant.credits_per_usd
    trials: dict[str, Trial] = {}
    for model, unit, events, charged, *counts, quantity, default, unpriced in _sums(
        tenant.pk, rate, since, until
    ):
        fresh, read, write, output, images = counts
        rule = rules.rule_for(applied, model)
        simulated: int | None
        if rule:
            used = Measure(fresh, read, write, output, images, unit, quantity)
            simulated = rule.burn(used, rate) + -(-rule.event * (events - 1) // rate)
        else:
            simulated = None if unpriced else default
        known = trials.get(model, Trial(model, 0, 0, 0))
        both = None if simulated is None or known.simulated is None else known.simulated + simulated
        trials[model] = Trial(model, known.events + events, known.charged + charged, both)
    return sorted(trials.values(), key=lambda trial: -trial.events)


def _sums(tenant_id: uuid.UUID, rate: int, since: datetime, until: datetime) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT model, unit_type, COUNT(*), COALESCE(SUM(amount) FILTER (WHERE state = 'billed'), 0)::bigint,
                SUM(input_tokens)::numeric(40)::text, SUM(cache_read_tokens)::text, SUM(cache_write_tokens)::text,
                SUM(output_tokens)::text, SUM(images)::text, (SUM(quantity) * 1000000000)::numeric(60)::text,
                SUM(CEIL(CEIL(COALESCE(cost, 0)::numeric * %(rate)s / 1000000000) * 1000000000 / %(rate)s))::text,
                COUNT(*) FILTER (WHERE cost IS NULL AND input_tokens + cache_read_tokens + cache_write_tokens
                    + output_tokens + images + quantity > 0)
            FROM (
                SELECT * FROM ledger_usageevent
                WHERE tenant_id = %(tenant)s AND id >= %(first)s
                    AND timestamp >= %(since)s AND timestamp < %(until)s
                ORDER BY id DESC LIMIT %(most)s
            ) newest
            GROUP BY model, unit_type
            """,
            {
                "tenant": tenant_id,
                "rate": rate,
                # No event was taken in long before it was used: the index needs to go no further back.
                "first": ids.first_of(since - AHEAD, later=-APART),
                "since": since,
                "until": until,
                "most": MAX_TRIED,
            },
        )
        return [
            (model, unit, events, charged, *map(int, sums), unpriced)
            for model, unit, events, charged, *sums, unpriced in cursor.fetchall()
        ]


def _check(settings: Mapping[str, Any]) -> None:
    rules.table(settings["rules"])
    since, until = settings.get("valid_from"), settings.get("valid_until")
    if since and until and until <= since:
        raise ApiError("validUntil: must be after validFrom.", code="validation_error")


def _next_version(tenant: Tenant) -> int:
    """One writer of a tenant's versions at a time."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    last = BurnTable.objects.filter(tenant=tenant).aggregate(last=Max("version"))["last"]
    return (last or 0) + 1


def _end_others(table: BurnTable) -> None:
    """The active versions before this one end now, or where it begins if that lies ahead."""
    others = BurnTable.objects.filter(tenant_id=table.tenant_id, is_active=True).exclude(pk=table.pk)
    start = table.valid_from
    if start is None or start <= timezone.now():
        others.update(is_active=False)
        return
    others.filter(valid_from__gte=start).update(is_active=False)
    others.filter(Q(valid_until=None) | Q(valid_until__gt=start)).exclude(valid_from__gte=start).update(
        valid_until=start
    )
