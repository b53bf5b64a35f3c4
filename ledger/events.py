"""What the owner of a paywall is told about money: each operation that stands, or was refused, as events.

Written in the posting's own transaction. A batch in which nothing happened that could interest anybody costs nothing;
else one more statement reads who listens, and two write what they get, whatever the batch's size.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from config import ids, money
from config.sql import Statement, Work
from ledger.errors import InsufficientFunds
from ledger.models import Account, Transfer
from ledger.operations import (
    Burn,
    Burned,
    BurnedAll,
    Burns,
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
    Account.Kind.STRIPE.value: ("stripe", Trigger("stripe", "end_user")),
    Account.Kind.SANDBOX.value: ("sandbox.checkout", Trigger("checkout", "end_user")),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose wallet it is (a kind of `config.ids`: a user, a team, or the tenant itself), and whose paywall is told.

    Of teams and tenants that is the tenant's home.
    """

    kind: str
    key: uuid.UUID
    external_id: str
    paywall_id: uuid.UUID
    credits_per_usd: int

    @property
    def public_id(self) -> str:
        return ids.public(self.kind, self.key)


def announce(
    happened: Sequence[tuple[Operation, uuid.UUID, Outcome]],
    crossings: Sequence[LowBalance],
    fees: Mapping[uuid.UUID, int],
) -> Work:
    """The statements that write the events of a batch, to run with its other writes.

    `happened` are the operations that are news, each with its payer and its outcome. A payer is an account, or the
    connection through which a shared wallet pays; `fees` are the platform's (nano-dollars) of the transfers that were
    shared out.
    """
    if not happened and not crossings:
        return []
    concerned = {payer for _, payer, _ in happened} | {low.account_id for low in crossings}
    [rows] = yield [_listeners(concerned)]
    owners: dict[uuid.UUID, Owner] = {}
    listeners = {}
    for payer, kind, key, external_id, credit_rate, paywall_id, tenant_id, subscription_id, events in rows:
        owners[payer] = Owner(kind, key, external_id, paywall_id, credit_rate)
        listeners[subscription_id] = outbox.Listener(paywall_id, tenant_id, subscription_id, events)
    told = [
        (owners[payer].paywall_id, draft)
        for op, payer, outcome in happened
        if payer in owners
        for draft in _drafts(op, outcome, owners[payer], fees)
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


def is_news(op: Operation, outcome: Outcome) -> bool:
    """Whether an operation says anything that could be an event. What a replay says was said before."""
    match op, outcome:
        # First what every request does, and is news to hardly anybody.
        case ((PlaceHold() | Release()), _) if not op.events:
            return False
        case Capture(), _ if not (op.watched or op.events):
            return False
        case Debit(), InsufficientFunds():
            return True
        case Credit() | Debit(), Receipt(replayed=False):
            return True
        case Burns(), BurnedAll():
            return op.watched and bool(op.burns)
        case Capture(), Resolved(replayed=False):
            return True
        case ((PlaceHold() | Release()), (Held(replayed=False) | Resolved(replayed=False))):
            return True
    return False


def _drafts(op: Operation, outcome: Outcome, owner: Owner, fees: Mapping[uuid.UUID, int]) -> Iterator[Draft]:
    match op, outcome:
        case Credit(), Receipt():
            yield _credited(op, outcome, owner)
        case Debit(kind=Transfer.Kind.CHARGE), Receipt():
            yield from _charged(outcome.transfer_id, op.amount, op.source, owner, fees)
        case Debit(kind=Transfer.Kind.BURN), Receipt():
            said = op.metadata
            burn = Burn("", "", op.amount, said["model"], said["prompt_tokens"], said["completion_tokens"])
            yield from _burned(burn, outcome.transfer_id, outcome.balance_before, owner)
        case Burns(), BurnedAll():
            for burn, burned in zip(op.burns, outcome.each, strict=True):
                match burned:
                    case Burned():
                        key = uuid.UUID(hex=burn.transfer)
                        yield from _burned(burn, key, burned.balance_before, owner)
                    case InsufficientFunds():
                        yield _depleted_by_report(owner, burned.required, burned.available)
        case Debit(kind=Transfer.Kind.BURN), InsufficientFunds():
            yield _depleted_by_report(owner, outcome.required, outcome.available)
        case Debit(), InsufficientFunds():
            yield from _refused(op, outcome, owner)
        case Capture(kind=Transfer.Kind.CHARGE), Resolved(transfer_id=uuid.UUID() as transfer_id):
            yield from _charged(transfer_id, outcome.captured, op.source, owner, fees)
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


def _charged(
    transfer_id: uuid.UUID, amount: int, source: str, owner: Owner, fees: Mapping[uuid.UUID, int]
) -> Iterator[Draft]:
    """A charge through the API is settled in the moment it is made, but for one that is shared out: that is later."""
    common = {"walletUserId": owner.public_id, "activityId": ids.public("activity", transfer_id)}
    created = {**common, "amount": number(amount), "processingFeeAmount": number(fees.get(transfer_id, 0))}
    yield Draft("paywall.balance.charge.created", created, _user(owner), drafts.API)
    if transfer_id not in fees:
        yield charge_completed(transfer_id, source, owner.public_id, owner.external_id)


def charge_completed(transfer_id: uuid.UUID, reference: str, user_id: str, external_id: str) -> Draft:
    """A charge has reached the paywall's side; `reference` says by what."""
    data = {
        "walletUserId": user_id,
        "activityId": ids.public("activity", transfer_id),
        "settlementReference": reference,
    }
    return Draft("paywall.balance.charge.completed", data, Subject("user", user_id, external_id), drafts.API)


def _refused(op: Debit, refusal: InsufficientFunds, owner: Owner) -> Iterator[Draft]:
    failed = {
        "walletUserId": owner.public_id,
        "activityId": None,
        "amount": number(op.amount),
        "errorCode": "insufficient_funds",
    }
    yield Draft("paywall.balance.charge.failed", failed, _user(owner), drafts.API)
    yield depleted(owner.public_id, owner.external_id, refusal.required, refusal.available, drafts.API)


def _burned(burn: Burn, transfer_id: uuid.UUID, before: int, owner: Owner) -> Iterator[Draft]:
    """Reported usage; where it brought the wallet into debt that is told as well, once."""
    data = {
        "walletUserId": owner.public_id,
        "activityId": ids.public("activity", transfer_id),
        "model": burn.model,
        "promptTokens": burn.prompt_tokens,
        "completionTokens": burn.completion_tokens,
        "cost": number(burn.amount),
    }
    yield Draft("paywall.usage.charge.created", data, _user(owner), drafts.API)
    if before - burn.amount < 0 <= before:
        yield _depleted_by_report(owner, burn.amount, before)


def _depleted_by_report(owner: Owner, required: int, available: int) -> Draft:
    return depleted(owner.public_id, owner.external_id, required, available, drafts.API)


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


def _listeners(payers: set[uuid.UUID]) -> Statement:
    """The owners of the wallets that paid whose paywalls have live subscriptions, once for each of those."""
    return Statement(
        f"""
        SELECT payer.id, CASE WHEN u.id IS NOT NULL THEN 'user' WHEN g.id IS NOT NULL THEN 'team' ELSE 'tenant' END,
            COALESCE(u.id, g.id, p.tenant_id), COALESCE(u.external_id, g.external_id, ''), t.credits_per_usd, p.id,
            p.tenant_id, s.id, s.events
        FROM (
            SELECT id, user_id, team_id, tenant_id FROM ledger_account WHERE id = ANY(%s::uuid[])
            UNION ALL
            SELECT id, user_id, NULL, NULL FROM paywalls_connection WHERE id = ANY(%s::uuid[])
        ) payer
        LEFT JOIN paywalls_enduser u ON u.id = payer.user_id
        LEFT JOIN paywalls_team g ON g.id = payer.team_id
        JOIN paywalls_paywall p
            ON p.id = u.paywall_id OR (payer.user_id IS NULL AND p.tenant_id = payer.tenant_id AND p.is_home)
        JOIN paywalls_tenant t ON t.id = p.tenant_id
        JOIN webhooks_subscription s ON s.paywall_id = p.id
        WHERE {outbox.LIVE}
        """,  # noqa: S608  (no value of anybody's)
        (list(payers), list(payers)),
    )
