"""What an action would cost, before it is done: as the event that reports it will be rated."""

import uuid
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from config.sql import Statement
from ledger.entitlements.answers import UNKNOWN, Estimate
from ledger.entitlements.facts import Asker
from ledger.entitlements.questions import Question
from ledger.metering import statements
from ledger.metering.ingest import versions
from ledger.rating import catalogue, rating
from ledger.rating.rating import CostCard, Version
from ledger.rating.rules import Measure
from paywalls.models import Tenant

# Tenants whose burn tables one process remembers.
MAX_TENANTS = 1_000


class BurnTables:
    """The process's cache of tenants' burn tables; `marks`, read with every question, tell whether it is current."""

    def __init__(self) -> None:
        self._cache: OrderedDict[uuid.UUID, tuple[str, list[Version]]] = OrderedDict()

    def cached(self, asker: Asker) -> list[Version] | None:
        """The tenant's tables, None where they have to be loaded."""
        if not asker.marks:
            return []
        marks, tables = self._cache.get(asker.tenant_id, ("", []))
        return tables if marks == asker.marks else None

    def load(self, asker: Asker) -> list[Version]:
        """Read the tenant's tables. What changes while we read makes the marks stale, and is read the next time."""
        tables = versions(_rows(statements.burn_tables(asker.tenant_id)))
        self._cache[asker.tenant_id] = (asker.marks, tables)
        self._cache.move_to_end(asker.tenant_id)
        while len(self._cache) > MAX_TENANTS:
            self._cache.popitem(last=False)
        return tables


def of(
    question: Question, tables: Sequence[Version], override: Sequence[Any], credits_per_usd: int
) -> Estimate:
    """The estimate by these burn tables, and the operator's cost of the model where there is one."""
    if not question.has_estimate:
        return UNKNOWN
    name = (question.provider, question.model)
    card: CostCard | None = catalogue.cards([name], [(*name, *override)] if override else [])[name]
    used = Measure(input=question.input_tokens, output=question.output_tokens)
    rated = rating.rate(used, question.model, datetime.now(UTC), tables, card, credits_per_usd)
    return Estimate(rated.amount, rated.cost)


def now(tenant: Tenant, question: Question) -> Estimate:
    """The estimate at the prices of this moment, read now."""
    if not question.has_estimate:
        return UNKNOWN
    tables = versions(_rows(statements.burn_tables(tenant.pk)))
    override = _rows(catalogue.overrides([(question.provider, question.model)]))
    return of(question, tables, override[0][2:] if override else (), tenant.credits_per_usd)


def _rows(statement: Statement) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.params)
        return cursor.fetchall()
