"""What the owner of a paywall is told about money: each operation that stands, or was refused, as events.

Written in the posting's own transaction. A batch in which nothing happened that could interest anybody costs nothing;
else one more statement reads who listens, and two write what they get, whatever the batch's size.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from config import ids, money
from config.sql import Statement, Work
from ledger.errors import InsufficientFunds
from ledger.models import Account, Transfer
from ledger.operations import (
    Capture,
    Credit,
    Debit,
    Held,
    LowBalance,
    Operation,
    Outcome,
    PlaceHold,
    Receipt,
    Release,
    RequestEvent,
    Resolved,
)
from webhooks import drafts, hints, outbox
from webhooks.drafts import Draft, Subject, Trigger

# Where a deposit came from, by the house account on its other side; other kinds of credit go by their kind.
_SOURCES = {
    Account.Kind.DEPOSITS.value: ("api.deposit", drafts.API),
    Account.Kind.SANDBOX.value: ("sandbox.checkout", Trigger("checkout", "end_user")),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose wallet it is, in which paywall."""

    user_id: uuid.UUID
    external_id: str
    paywall_id: uuid.UUID
    credits_per_usd: int

    @property
    def public_id(self) -> str:
        return ids.public("user", self.user_id)


def announce(
    operations: Sequence[Operation],
    account_ids: Sequence[uuid.UUID | None],
    outcomes: Sequence[Outcome],
    crossings: Sequence[LowBalance],
) -> Work:
    """The statements that write the events of a batch, to run with its other writes."""
    happened = [
        (op, account_id, outcome)
        for op, account_id, outcome in zip(operations, account_ids, outcomes, strict=True)
        if account_id is not None and _is_news(op, outcome)
    ]
    if not happened and not crossings:
        return []
    concerned = {account_id for _, account_id, _ in happened} | {low.account_id for low in crossings}
    [rows] = yield [_listeners(concerned)]
    owners: dict[uuid.UUID, Owner] = {}
    listeners = {}
    for account_id, user_id, external_id, credit_rate, paywall_id, tenant_id, subscription_id, events in rows:
        owners[account_id] = Owner(user_id, external_id, paywall_id, credit_rate)
        listeners[subscription_id] = outbox.Listener(paywall_id, tenant_id, subscription_id, events)
    told = [
        (owners[account_id].paywall_id, draft)
        for op, account_id, outcome in happened
        if account_id in owners
        for draft in _drafts(op, outcome, owners[account_id])
    ]
    told += [
        (owners[low.account_id].paywall_id, _became_low(low, owners[low.account_id]))
        for low in crossings
        if low.account_id in owners
    ]
    writes = outbox.writes(told, listeners.values())
    if writes:
        hints.wake()
    return writes


def number(nano: int) -> orjson.Fragment:
    """Nano-dollars as an exact JSON number of US dollars; a float would round."""
    return orjson.Fragment(money.plain(nano))


def request_draft(event: RequestEvent, user_public_id: str | None, external_id: str | None) -> Draft:
    """An event about a request of the gateway; its data gets the wallet's user."""
    data = {**event.data, "walletUserId": user_public_id}
    subject = Subject("request", ids.public("request", event.request_id), external_id)
    return Draft(event.type, data, subject, Trigger("gateway", "end_user", external_id))


def _is_news(op: Operation, outcome: Outcome) -> bool:
    """Whether an operation says anything that could be an event. What a replay says was said before."""
    match op, outcome:
        case Debit(), InsufficientFunds():
            return True
        case Credit() | Debit(), Receipt(replayed=False):
            return True
        case Capture(), Resolved(replayed=False):
            return op.watched or bool(op.events)
        case ((PlaceHold() | Release()), (Held(replayed=False) | Resolved(replayed=False))):
            return bool(op.events)
    return False


def _drafts(op: Operation, outcome: Outcome, owner: Owner) -> Iterator[Draft]:
    match op, outcome:
        case Credit(), Receipt():
            yield _credited(op, outcome, owner)
        case Debit(kind=Transfer.Kind.CHARGE), Receipt():
            yield from _charged(outcome.transfer_id, op.amount, op.source, owner)
        case Debit(), InsufficientFunds():
            yield from _refused(op, outcome, owner)
        case Capture(kind=Transfer.Kind.CHARGE), Resolved(transfer_id=uuid.UUID() as transfer_id):
            yield from _charged(transfer_id, outcome.captured, op.source, owner)
        case Capture(), Resolved(transfer_id=uuid.UUID()):
            yield _used(op, outcome, owner)
    for event in getattr(op, "events", ()):
        yield request_draft(event, owner.public_id, owner.external_id)


def _credited(op: Credit, receipt: Receipt, owner: Owner) -> Draft:
    activity = ids.public("activity", receipt.transfer_id)
    if op.kind == Transfer.Kind.TRIAL:
        credits = number(op.amount * owner.credits_per_usd)
        data: dict[str, Any] = {"walletUserId": owner.public_id, "credits": credits, "activityId": activity}
        return Draft("paywall.balance.trial.granted", data, _user(owner))
    source, trigger = _SOURCES.get(op.counter, (op.kind, drafts.SYSTEM))
    data = {
        "walletUserId": owner.public_id,
        "externalUserId": owner.external_id,
        "amount": number(op.amount),
        "currency": "USD",
        "source": source,
        "activityId": activity,
    }
    return Draft("paywall.balance.deposit.created", data, _user(owner), trigger)


def _charged(transfer_id: uuid.UUID, amount: int, source: str, owner: Owner) -> Iterator[Draft]:
    """A charge through the API is settled in the moment it is made: both events tell of one transfer."""
    common = {"walletUserId": owner.public_id, "activityId": ids.public("activity", transfer_id)}
    created = {**common, "amount": number(amount), "processingFeeAmount": 0}
    yield Draft("paywall.balance.charge.created", created, _user(owner), drafts.API)
    completed = {**common, "settlementReference": source}
    yield Draft("paywall.balance.charge.completed", completed, _user(owner), drafts.API)


def _refused(op: Debit, refusal: InsufficientFunds, owner: Owner) -> Iterator[Draft]:
    failed = {
        "walletUserId": owner.public_id,
        "activityId": None,
        "amount": number(op.amount),
        "errorCode": "insufficient_funds",
    }
    yield Draft("paywall.balance.charge.failed", failed, _user(owner), drafts.API)
    yield depleted(owner.public_id, owner.external_id, refusal.required, refusal.available, drafts.API)


def depleted(user_public_id: str, external_id: str, required: int, available: int, trigger: Trigger) -> Draft:
    """More was asked for than is there (nano-dollars)."""
    data = {
        "walletUserId": user_public_id,
        "requestedAmount": number(required),
        "availableBalance": number(available),
    }
    return Draft("paywall.balance.depleted", data, Subject("user", user_public_id, external_id), trigger)


def _became_low(low: LowBalance, owner: Owner) -> Draft:
    data = {
        "walletUserId": owner.public_id,
        "externalUserId": owner.external_id,
        "balance": number(low.balance),
        "threshold": number(low.threshold),
    }
    return Draft("paywall.balance.low", data, _user(owner), drafts.SYSTEM)


def _used(op: Capture, outcome: Resolved, owner: Owner) -> Draft:
    assert outcome.transfer_id
    price = op.metadata.get("price", {})
    data = {
        "walletUserId": owner.public_id,
        "activityId": ids.public("activity", outcome.transfer_id),
        "model": op.metadata.get("model"),
        "promptTokens": price.get("prompt_tokens"),
        "completionTokens": price.get("completion_tokens"),
        "cost": number(outcome.captured),
    }
    subject = Subject("request", ids.public("request", op.hold_id), owner.external_id)
    return Draft("paywall.usage.charge.created", data, subject, drafts.GATEWAY)


def _user(owner: Owner) -> Subject:
    return Subject("user", owner.public_id, owner.external_id)


def _listeners(account_ids: set[uuid.UUID]) -> Statement:
    """The end users behind the accounts whose paywalls have live subscriptions, once for each of those."""
    return Statement(
        f"""
        SELECT a.id, u.id, u.external_id, t.credits_per_usd, p.id, p.tenant_id, s.id, s.events
        FROM ledger_account a
        JOIN paywalls_enduser u ON u.id = a.user_id
        JOIN paywalls_paywall p ON p.id = u.paywall_id
        JOIN paywalls_tenant t ON t.id = p.tenant_id
        JOIN webhooks_subscription s ON s.paywall_id = p.id
        WHERE a.id = ANY(%s::uuid[]) AND {outbox.LIVE}
        """,  # noqa: S608  (no value of anybody's)
        (list(account_ids),),
    )
