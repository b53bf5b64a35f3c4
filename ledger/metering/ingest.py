"""Taking in a batch of events: kept once, rated and burned, in one transaction of a few statements at any size.

1. which of them are known, what the tenant's burn tables say, what operators typed of providers' costs
2. the wallets that they name, made where they are missing
3. the events, as if their wallets could pay
4. posting: a debit for each event that costs something
5. the month's count, and of the events those whose debits were refused

The wallets are locked as late as this, so that batches about the same ones wait for each other the least. An event that
another batch takes in at the same time stops the insert, and the whole is tried again: then it is known.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import orjson

from config import ids
from config.errors import TooManyRequests
from config.money import MAX_AMOUNT
from config.sql import Rows, Work
from ledger import posting, wallets
from ledger.burning import source_of
from ledger.errors import Refusal
from ledger.metering import statements
from ledger.metering.reading import Event, InvalidEvents
from ledger.models import Account, Transfer, UsageEvent
from ledger.operations import Burn, Burned, BurnedAll, Burns, Credit, Debit, Outcome, Receipt
from ledger.rating import catalogue, rating, rules
from ledger.rating.rating import CostCard, Rated, Version
from paywalls.models import Tenant
from paywalls.users import UserRef

State = UsageEvent.State
# As texts: a look at an enum's value for each event takes longer than all else that is done with it.
BILLED, FREE, UNBILLED, UNRATED = (
    each.value for each in (State.BILLED, State.FREE, State.UNBILLED, State.UNRATED)
)


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
    known, tables, costs, [(listened,)] = yield [
        statements.known(reporter.tenant_id, [event.event_id for event in events], keys),
        statements.burn_tables(reporter.tenant_id),
        catalogue.overrides(named),
        statements.listened(reporter.tenant_id),
    ]
    new = _unknown(events, known)
    if not new:
        return Taken(None, 0, len(events))
    rated = _rated(new, reporter, versions(tables), catalogue.cards(named, costs))
    row_ids, transfer_ids, batch_id = ids.many(len(new)), ids.many(len(new)), ids.new()
    payers, gifts = yield from _payers_of(reporter, [event for _, event in new])
    kept = [
        _row(row_id, payers, event, _state(price, paid=True), price)
        for row_id, (_, event), price in zip(row_ids, new, rated, strict=True)
    ]
    yield [statements.insert_events(reporter.tenant_id, batch_id, kept)]
    burned: dict[Named, list[int]] = {named: [] for named in payers}
    for place, ((_, event), price) in enumerate(zip(new, rated, strict=True)):
        if price.amount:
            burned[payer_of(event)].append(place)
    todo = [
        Burns(
            payers[named].account_id,
            [
                _burn(row_ids[place], transfer_ids[place], new[place][1], rated[place].amount or 0)
                for place in places
            ],
            overdraw=reporter.overdraws,
            watched=listened,
        )
        for named, places in burned.items()
        if places
    ]
    outcomes: list[Outcome] = yield from posting.steps([*gifts, *todo])
    places = [place for places in burned.values() for place in places]
    unpaid = [
        (row_ids[place], UNBILLED, rated[place].amount, rated[place].cost, rated[place].burn_table)
        for place, done in zip(places, _each(outcomes[len(gifts) :]), strict=True)
        if not isinstance(done, Burned)
    ]
    month = statements.count_month(ids.new(), reporter.tenant_id, now.date().replace(day=1), len(new))
    [[counted]], *_ = yield [month, *([statements.settle_events(unpaid)] if unpaid else [])]
    if reporter.monthly_events is not None and counted > reporter.monthly_events:
        raise QuotaReached(reporter.monthly_events, now)
    return Taken(batch_id, len(new), len(events) - len(new))


def _each(outcomes: Iterable[Outcome]) -> Iterable[Burned | Refusal]:
    """What became of each burn, in order. Raises the Refusal of a wallet's burns as a whole."""
    for outcome in outcomes:
        if not isinstance(outcome, BurnedAll):
            assert isinstance(outcome, Refusal)
            raise outcome
        yield from outcome.each


# Whose wallet it is, as the app names them: (team, None), (None, user), or the customer's with neither.
Named = tuple[str | None, str | None]


class Payer(NamedTuple):
    """A wallet, and whose it is: a user's, a team's, or else the customer's."""

    account_id: uuid.UUID
    user_id: uuid.UUID | None = None
    team_id: uuid.UUID | None = None


def payer_of(event: Event) -> Named:
    """Who pays: the team, else the user, else the customer."""
    return (event.team, None) if event.team else (None, event.user)


def _payers_of(reporter: Reporter, events: Collection[Event]) -> Work:
    """All that the events name, made where they are missing; and the trial credits of those that were.

    Also users for whom a team pays: the event is theirs all the same.
    """
    refs = {name: UserRef(reporter.home_id, name) for name in {event.user for event in events} if name}
    found = (yield from wallets.find_or_make(refs.values())) if refs else wallets.Found()
    payers: dict[Named, Payer] = {
        (None, name): Payer(found.accounts[ref], found.users[ref]) for name, ref in refs.items()
    }
    if teams := {event.team for event in events if event.team}:
        of_teams = yield from wallets.teams_of(reporter.tenant_id, teams)
        payers |= {(name, None): Payer(wallet, None, team_id) for name, (team_id, wallet) in of_teams.items()}
    if any(not event.team and not event.user for event in events):
        customer = yield from wallets.customer_of(reporter.tenant_id)
        payers[None, None] = Payer(customer)
    gifts: list[Credit] = found.gifts
    return payers, gifts


def _burn(row_id: str, transfer_id: str, event: Event, amount: int) -> Burn:
    used = event.used
    return Burn(row_id, transfer_id, amount, event.model, used.prompt, used.output)


def burn(row_id: uuid.UUID, wallet: uuid.UUID | UserRef, amount: int, event: Any, *, overdraw: bool) -> Debit:
    """The debit of an event. Its source is the event's row, which is one for ever."""
    return Debit(
        wallet=wallet,
        amount=amount,
        source=source_of(row_id.hex),
        kind=Transfer.Kind.BURN,
        counter=Account.Kind.REVENUE,
        metadata=Burn(row_id.hex, "", amount, event.model, event.used.prompt, event.used.output).metadata,
        overdraw=overdraw,
    )


def state_after(price: Rated, outcome: Outcome | None) -> str:
    """An event's state by its price and what posting said of its debit."""
    return _state(price, paid=isinstance(outcome, Receipt))


def _state(price: Rated, *, paid: bool) -> str:
    if price.amount is None:
        return UNRATED
    if not price.amount:
        return FREE
    return BILLED if paid else UNBILLED


def versions(rows: Iterable[Sequence[Any]]) -> list[Version]:
    """Burn tables from rows of `statements.burn_tables`."""
    return [
        Version(key, rules.table(orjson.loads(text)), valid_from, valid_until)
        for key, text, valid_from, valid_until in rows
    ]


def _unknown(events: Sequence[Event], known: Rows) -> list[tuple[int, Event]]:
    """The events that nobody has reported before, nor an earlier one of the batch, with their index."""
    event_ids: set[str] = {event_id for event_id, _ in known}
    keys: set[str | None] = {key for _, key in known}
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
    row_id: str, payers: Mapping[Named, Payer], event: Event, state: str, price: Rated
) -> tuple[Any, ...]:
    used = event.used
    payer = payers[payer_of(event)]
    user = payers[None, event.user].user_id if event.user else None
    return (
        row_id,
        payer.account_id,
        user,
        payer.team_id,
        event.event_id,
        event.idempotency_key,
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
