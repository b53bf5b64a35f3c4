"""Usage that was kept as unbilled, because its wallet couldn't pay or it had no price: billed when it can be."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.money import MAX_AMOUNT
from config.sql import Work
from ledger import posting
from ledger.metering import statements
from ledger.metering.ingest import State, burn, state_after, versions
from ledger.operations import Outcome
from ledger.rating import catalogue, rating
from ledger.rating.rating import CostCard, Rated, Version
from ledger.rating.rules import Measure
from paywalls.models import Tenant


@dataclass(frozen=True, slots=True)
class Billed:
    """What could be billed: events, and nano-dollars; `waiting` of those that were looked at still can't."""

    events: int
    amount: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event to bill, as it was kept."""

    id: uuid.UUID
    wallet_id: uuid.UUID
    state: str
    amount: int | None
    timestamp: datetime
    provider: str
    model: str
    used: Measure


def bill(tenant: Tenant, limit: int) -> Billed:
    """Charge the oldest unbilled events, at most `limit`, each once and never into debt. Raises Contention."""
    billed: Billed = posting.run(lambda: _steps(tenant, limit))
    return billed


def _steps(tenant: Tenant, limit: int) -> Work:
    rows, tables = yield [statements.billable(tenant.pk, limit), statements.burn_tables(tenant.pk)]
    if not rows:
        return Billed(0, 0, 0)
    waiting = [_waiting(row) for row in rows]
    named = {(event.provider, event.model) for event in waiting if event.model}
    [typed] = yield [catalogue.overrides(named)]
    known, found = catalogue.cards(named, typed), versions(tables)
    prices = [_price(event, found, known, tenant.credits_per_usd) for event in waiting]
    debits = [
        burn(event.id, event.wallet_id, price.amount, event, overdraw=False)
        for event, price in zip(waiting, prices, strict=True)
        if price.amount
    ]
    outcomes: list[Outcome] = (yield from posting.steps(debits)) if debits else []
    paid = iter(outcomes)
    changed, amount, left = [], 0, 0
    for event, price in zip(waiting, prices, strict=True):
        state = state_after(price, next(paid) if price.amount else None)
        if state == State.BILLED:
            amount += price.amount or 0
        left += state in (State.UNBILLED, State.UNRATED)
        if state != event.state:
            changed.append((event.id, state, price.amount, price.cost, price.burn_table))
    if changed:
        yield [statements.settle_events(changed)]
    return Billed(len(waiting) - left, amount, left)


def _price(
    event: Waiting,
    found: Sequence[Version],
    known: dict[catalogue.Name, CostCard | None],
    credits_per_usd: int,
) -> Rated:
    """Today's price of what had none; what is unbilled keeps its own."""
    if event.state == State.UNBILLED:
        return Rated(event.amount, None)
    card = known.get((event.provider, event.model))
    rated = rating.rate(event.used, event.model, event.timestamp, found, card, credits_per_usd)
    too_much = max(rated.amount or 0, rated.cost or 0) > MAX_AMOUNT
    return Rated(None, None) if too_much else rated


def _waiting(row: Sequence[Any]) -> Waiting:
    key, wallet_id, state, amount, timestamp, provider, model, *counts, images, unit_type, quantity = row
    fresh, read, write, output = counts
    used = Measure(fresh, read, write, output, images, unit_type, quantity)
    return Waiting(key, wallet_id, state, amount, timestamp, provider, model, used)
