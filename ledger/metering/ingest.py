"""Taking in a batch of events: kept once, rated and burned, in one transaction of a few statements at any size.

1. which of them are known, what the tenant's burn tables say, what operators typed of providers' costs
2. the wallets that they name, made where they are missing
3. posting: a debit for each event that costs something
4. the events, and the month's count

An event that another batch takes in at the same time stops the insert, and the whole is tried again: then it is known.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson

from config import ids
from config.errors import TooManyRequests
from config.money import MAX_AMOUNT
from config.sql import Rows, Work
from ledger import posting, wallets
from ledger.metering import statements
from ledger.metering.reading import Event, InvalidEvents
from ledger.models import Account, Transfer, UsageEvent
from ledger.operations import Debit, Opened, OpenWallet, Operation, Outcome, Receipt
from ledger.rating import catalogue, rating, rules
from ledger.rating.rating import CostCard, Rated, Version
from paywalls.models import Tenant
from paywalls.users import UserRef

State = UsageEvent.State


@dataclass(frozen=True, slots=True)
class Reporter:
    """Whose usage it is: the tenant, its home paywall, how a credit counts, and what its tier allows in a month."""

    tenant_id: uuid.UUID
    home_id: uuid.UUID
    credits_per_usd: int
    overdraws: bool
    monthly_events: int | None = None

    @classmethod
    def of(cls, tenant: Tenant, home_id: uuid.UUID, monthly_events: int | None = None) -> "Reporter":
        overdraws = tenant.uncovered_usage == Tenant.Uncovered.DEBT
        return cls(tenant.pk, home_id, tenant.credits_per_usd, overdraws, monthly_events)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch; `batch_id` is None where every event was known."""

    batch_id: uuid.UUID | None
    accepted: int
    duplicates: int


class QuotaReached(TooManyRequests):
    """The batch would bring the tenant over its tier's events of a month."""

    code = "quota_exceeded"

    def __init__(self, quota: int, now: datetime) -> None:
        first = date(now.year + now.month // 12, now.month % 12 + 1, 1)
        seconds = datetime(first.year, first.month, 1, tzinfo=UTC) - now
        super().__init__(
            f"This tier takes {quota} events a month (UTC), and with this batch there would be more. "
            "Nothing of it was taken.",
            retry_after=int(seconds.total_seconds()) + 1,
        )


def ingest(reporter: Reporter, events: Sequence[Event], now: datetime) -> Taken:
    """Take in a batch. Raises InvalidEvents, QuotaReached or Contention, having taken nothing."""
    taken: Taken = posting.run(lambda: steps(reporter, events, now))
    return taken


def steps(reporter: Reporter, events: Sequence[Event], now: datetime) -> Work:
    """The batch as round trips; returns what was Taken."""
    named = {(event.provider, event.model) for event in events if event.model}
    keys = [event.idempotency_key for event in events if event.idempotency_key]
    known, tables, costs = yield [
        statements.known(reporter.tenant_id, [event.event_id for event in events], keys),
        statements.burn_tables(reporter.tenant_id),
        catalogue.overrides(named),
    ]
    new = _unknown(events, known)
    if not new:
        return Taken(None, 0, len(events))
    rated = _rated(new, reporter, versions(tables), catalogue.cards(named, costs))
    team_wallets: dict[str | None, uuid.UUID] = {}
    if teams := {event.team for _, event in new if event.team}:
        team_wallets = yield from wallets.teams_of(reporter.tenant_id, teams)
    customer_wallet: Any = None  # made where an event is for it
    if any(not event.team and not event.user for _, event in new):
        customer_wallet = yield from wallets.customer_of(reporter.tenant_id)
    users = sorted({event.user for _, event in new if event.user})
    opened = [OpenWallet(UserRef(reporter.home_id, user)) for user in users]

    def wallet_of(event: Event) -> uuid.UUID | UserRef:
        if event.team:
            return team_wallets[event.team]
        wallet: uuid.UUID | UserRef
        wallet = UserRef(reporter.home_id, event.user) if event.user else customer_wallet
        return wallet

    row_ids = [ids.new() for _ in new]
    debits = [
        burn(row_id, wallet_of(event), price.amount, event, overdraw=reporter.overdraws)
        for row_id, (_, event), price in zip(row_ids, new, rated, strict=True)
        if price.amount
    ]
    todo: list[Operation] = [*opened, *debits]
    outcomes: list[Outcome] = (yield from posting.steps(todo)) if todo else []
    user_wallets = {
        user: outcome.account_id
        for user, outcome in zip(users, outcomes, strict=False)
        if isinstance(outcome, Opened)
    }
    [rows] = yield [statements.owners([*user_wallets.values(), *team_wallets.values()])]
    user_of = {account_id: user_id for account_id, user_id, _ in rows}
    team_of = {account_id: team_id for account_id, _, team_id in rows}
    burned = iter(outcomes[len(opened) :])
    batch_id = ids.new()
    kept = []
    for row_id, (_, event), price in zip(row_ids, new, rated, strict=True):
        own, team = user_wallets.get(event.user or ""), team_wallets.get(event.team)
        state = state_after(price, next(burned) if price.amount else None)
        wallet = team or own or customer_wallet
        owner = (wallet, user_of.get(own), team_of.get(team))
        kept.append(_row(row_id, reporter.tenant_id, owner, batch_id, event, state, price))
    _, [[counted]] = yield [
        statements.insert_events(kept),
        statements.count_month(ids.new(), reporter.tenant_id, now.date().replace(day=1), len(new)),
    ]
    if reporter.monthly_events is not None and counted > reporter.monthly_events:
        raise QuotaReached(reporter.monthly_events, now)
    return Taken(batch_id, len(new), len(events) - len(new))


def burn(row_id: uuid.UUID, wallet: uuid.UUID | UserRef, amount: int, event: Any, *, overdraw: bool) -> Debit:
    """The debit of an event. Its source is the event's row, which is one for ever."""
    return Debit(
        wallet=wallet,
        amount=amount,
        source=f"event:{row_id.hex}",
        kind=Transfer.Kind.BURN,
        counter=Account.Kind.REVENUE,
        metadata={
            "event": row_id.hex,
            "model": event.model,
            "prompt_tokens": event.used.input + event.used.cache_read + event.used.cache_write,
            "completion_tokens": event.used.output,
        },
        overdraw=overdraw,
    )


def state_after(price: Rated, outcome: Outcome | None) -> str:
    """An event's state by its price and what posting said of its debit."""
    if price.amount is None:
        return State.UNRATED
    if not price.amount:
        return State.FREE
    return State.BILLED if isinstance(outcome, Receipt) else State.UNBILLED


def versions(rows: Iterable[Sequence[Any]]) -> list[Version]:
    """Burn tables from rows of `statements.burn_tables`."""
    return [
        Version(key, rules.table(orjson.loads(text)), valid_from, valid_until)
        for key, text, valid_from, valid_until in rows
    ]


def _unknown(events: Sequence[Event], known: Rows) -> list[tuple[int, Event]]:
    """The events that nobody has reported before, nor an earlier one of the batch, with their index."""
    event_ids = {event_id for event_id, _ in known}
    keys = {key for _, key in known}
    new = []
    for index, event in enumerate(events):
        if event.event_id in event_ids or (event.idempotency_key and event.idempotency_key in keys):
            continue
        event_ids.add(event.event_id)
        keys.add(event.idempotency_key)
        new.append((index, event))
    return new


def _rated(
    new: list[tuple[int, Event]],
    reporter: Reporter,
    tables: list[Version],
    cards: dict[catalogue.Name, CostCard | None],
) -> list[Rated]:
    rated, faults = [], []
    for index, event in new:
        card = cards.get((event.provider, event.model))
        price = rating.rate(event.used, event.model, event.timestamp, tables, card, reporter.credits_per_usd)
        if max(price.amount or 0, price.cost or 0) > MAX_AMOUNT:
            message = "would cost more than a million dollars: check its counts"
            faults.append({"index": index, "field": "", "message": message})
        rated.append(price)
    if faults:
        raise InvalidEvents(faults)
    return rated


def _row(
    row_id: uuid.UUID,
    tenant_id: uuid.UUID,
    owner: tuple[Any, Any, Any],
    batch_id: uuid.UUID,
    event: Event,
    state: str,
    price: Rated,
) -> tuple[Any, ...]:
    used = event.used
    return (
        row_id,
        tenant_id,
        *owner,
        event.event_id,
        event.idempotency_key,
        batch_id,
        event.timestamp,
        event.event_type,
        event.feature_id,
        event.provider,
        event.model,
        used.input,
        used.cache_read,
        used.cache_write,
        used.output,
        used.images,
        event.image_size,
        event.quality,
        used.unit_type,
        used.quantity,
        event.metadata,
        state,
        price.amount,
        price.cost,
        price.burn_table,
    )
