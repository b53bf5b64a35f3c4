"""What Stripe tells us: verified, stored, answered, and only then processed.

An event says where to look and is never believed for what it says: each handler asks Stripe. So it doesn't matter
whether events come twice, late, in any order, or are found by asking for them.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
import stripe
from celery import current_app
from django.db import transaction
from django.utils import timezone

from config import secrets
from ledger.models import StripeAccount, StripeCheckout, StripeEvent
from ledger.payments import accounts, attention, autotopup, checkout, endpoints, plans, refunds, stripe_api

log = logging.getLogger("tollgate.payments")

# Seconds that a signature is good for.
TOLERANCE_SECONDS = 300
# A failed event is tried again after this long, doubling up to the longest, and this often in all: about two days.
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=6)
MAX_ATTEMPTS = 18
# Who processes an event has this long before another worker may.
LEASE = timedelta(minutes=3)

# How often events are asked for that no webhook brought.
READ_EVERY = timedelta(minutes=15)
READ_EVERY_WITHOUT_WEBHOOKS = timedelta(seconds=10)
# Stripe lists an event up to this long after it happened.
READ_OVERLAP = timedelta(minutes=5)

TASK = "ledger.tasks.process_stripe_events"


class NotBelieved(Exception):
    """What was sent is not signed with a secret that we know, or too old; nothing of it is stored."""


class UnknownEndpoint(Exception):
    """No connected account has this endpoint."""


def receive(account_id: uuid.UUID, body: bytes, signature: str) -> bool:
    """Store a webhook's event; False where it is known. Raises UnknownEndpoint or NotBelieved."""
    account = StripeAccount.objects.filter(pk=account_id, disconnected_at=None).first()
    if account is None:
        raise UnknownEndpoint(f"no connected account {account_id}")
    _verify(account, body, signature)
    try:
        event = orjson.loads(body)
        is_event = event["object"] == "event" and bool(event["id"]) and bool(event["type"])
    except (ValueError, KeyError, TypeError):
        is_event = False
    if not is_event:
        raise NotBelieved("the body is no event")
    if bool(event.get("livemode")) != account.livemode:
        raise NotBelieved("the event is of the other mode, live or test")
    return store(account, event)


def _verify(account: StripeAccount, body: bytes, signature: str) -> None:
    """Believe the endpoint's own secret, and for a day the one before a rotation. An unset one refuses everything."""
    stored = [account.webhook_secret]
    if account.previous_is_valid(timezone.now()):
        stored.append(account.previous_secret)
    for token in filter(None, stored):
        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), signature, secrets.decrypt(token), tolerance=TOLERANCE_SECONDS
            )
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
        return
    raise NotBelieved("the signature is not of a secret that we know, or its time is too far from now")


def store(account: StripeAccount, event: Mapping[str, Any]) -> bool:
    """Keep an event to be processed; False where it is known."""
    [row] = StripeEvent.objects.bulk_create(
        [
            StripeEvent(
                account=account,
                event_id=event["id"],
                type=str(event["type"])[:100],
                payload=dict(event),
                next_attempt_at=timezone.now(),
            )
        ],
        ignore_conflicts=True,
    )
    new = StripeEvent.objects.filter(pk=row.pk).exists()
    if new:
        transaction.on_commit(_hint)
    return new


def _hint() -> None:
    """Let a worker look now; the clock finds what this doesn't tell."""
    try:
        current_app.send_task(TASK, ignore_result=True, retry=False, expires=10)
    except Exception as error:
        log.warning("no hint could be sent, the clock will find the event: %s", error)


# --- Processing ------------------------------------------------------------------------------------------


def process_due(limit: int = 200) -> int:
    """Process the events that are due, each claimed by one worker; the number of them."""
    done = 0
    while done < limit and (event := _claim()):
        _process(event)
        done += 1
    return done


def _claim() -> StripeEvent | None:
    now = timezone.now()
    with transaction.atomic():
        event = (
            StripeEvent.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("account__paywall")
            .filter(state=StripeEvent.State.WAITING, next_attempt_at__lte=now)
            .order_by("next_attempt_at")
            .first()
        )
        if event:
            event.attempts += 1
            event.next_attempt_at = now + LEASE
            event.save(update_fields=["attempts", "next_attempt_at"])
    return event


def _process(event: StripeEvent) -> None:
    try:
        ours = handle(event.account, event.type, event.payload["data"]["object"])
    except Exception as error:
        _failed(event, error)
        return
    state = StripeEvent.State.PROCESSED if ours else StripeEvent.State.IGNORED
    StripeEvent.objects.filter(pk=event.pk).update(state=state, error="", processed_at=timezone.now())


def _failed(event: StripeEvent, error: Exception) -> None:
    """Keep the event with its error; it is tried again, and in the end it waits for an operator."""
    text = (
        stripe_api.reason(error)
        if isinstance(error, stripe.StripeError)
        else f"{type(error).__name__}: {error}"
    )
    log.warning("the Stripe event %s failed: %s", event.event_id, text)
    over = event.attempts >= MAX_ATTEMPTS or isinstance(error, plans.WrongInvoice)
    wait = min(FIRST_RETRY * 2 ** (event.attempts - 1), LONGEST_RETRY)
    StripeEvent.objects.filter(pk=event.pk).update(
        state=StripeEvent.State.FAILED if over else StripeEvent.State.WAITING,
        error=text,
        next_attempt_at=timezone.now() + wait,
    )
    if over:
        attention.tell()


def retry(event: StripeEvent) -> bool:
    """Let an event be processed again from the start; False while it waits anyway."""
    again = StripeEvent.objects.filter(pk=event.pk).exclude(state=StripeEvent.State.WAITING)
    waiting = bool(again.update(state=StripeEvent.State.WAITING, attempts=0, next_attempt_at=timezone.now()))
    transaction.on_commit(_hint)
    return waiting


Handler = Callable[[StripeAccount, dict[str, Any]], bool]


def handle(account: StripeAccount, type: str, about: dict[str, Any]) -> bool:
    """Look at what an event is about; False where it is none of ours."""
    handler = HANDLERS.get(type)
    return handler(account, about) if handler else False


def _session(account: StripeAccount, session: dict[str, Any]) -> bool:
    known = StripeCheckout.objects.filter(account=account, session_id=session["id"]).first()
    if known is None:
        known = _adopt(account, session)
    if known is None:
        return False
    checkout.settle(known)
    return True


def _adopt(account: StripeAccount, session: dict[str, Any]) -> StripeCheckout | None:
    """The checkout whose session this is though Stripe's answer did not reach us when it was made."""
    claimed = (session.get("metadata") or {}).get("tollgate_checkout", "")
    try:
        key = uuid.UUID(hex=claimed)
    except ValueError:
        return None
    waiting = StripeCheckout.objects.filter(
        pk=key, account=account, session_id=None, state=StripeCheckout.State.MADE
    )
    waiting.update(session_id=session["id"], state=StripeCheckout.State.OPEN)
    return StripeCheckout.objects.filter(pk=key, session_id=session["id"]).first()


def _taken_back(account: StripeAccount, about: dict[str, Any]) -> bool:
    """A charge, refund or dispute: each names its PaymentIntent."""
    return refunds.sync(account, about.get("payment_intent") or "")


def _intent(account: StripeAccount, intent: dict[str, Any]) -> bool:
    return autotopup.settle(account, intent)


def _invoice(account: StripeAccount, invoice: dict[str, Any]) -> bool:
    return plans.grant(account, invoice["id"])


def _subscription(account: StripeAccount, subscription: dict[str, Any]) -> bool:
    return plans.refresh_subscription(account, subscription["id"])


HANDLERS: Mapping[str, Handler] = {
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _session,
    "checkout.session.expired": _session,
    "charge.refunded": _taken_back,
    "charge.refund.updated": _taken_back,
    "charge.dispute.created": _taken_back,
    "charge.dispute.updated": _taken_back,
    "charge.dispute.closed": _taken_back,
    "payment_intent.succeeded": _intent,
    "payment_intent.payment_failed": _intent,
    "invoice.paid": _invoice,
    "customer.subscription.updated": _subscription,
    "customer.subscription.deleted": _subscription,
}
assert set(HANDLERS) == set(endpoints.EVENTS)


# --- What no webhook brought -----------------------------------------------------------------------------


def read_missed() -> int:
    """Ask each account for events that no webhook brought; the number that were new.

    Where Stripe can't reach this installation this is how all of them come.
    """
    now, new = timezone.now(), 0
    for account in StripeAccount.objects.select_related("paywall").filter(disconnected_at=None):
        every = READ_EVERY if account.endpoint_id else READ_EVERY_WITHOUT_WEBHOOKS
        due = StripeAccount.objects.filter(pk=account.pk, events_read_until=account.events_read_until)
        if account.events_read_until > now - every or not due.update(events_read_until=now):
            continue
        try:
            new += _read(account, account.events_read_until - READ_OVERLAP)
        except (stripe.StripeError, accounts.NotConnected) as error:
            log.warning("%s could not be asked for events: %s", account, error)
            # From where it stood, the next time.
            StripeAccount.objects.filter(pk=account.pk, events_read_until=now).update(
                events_read_until=account.events_read_until
            )
    return new


def _read(account: StripeAccount, since: datetime) -> int:
    since = max(since, account.created_at)
    found = accounts.client_of(account).v1.events.list(
        {"types": list(endpoints.EVENTS), "created": {"gte": int(since.timestamp())}, "limit": 100}
    )
    # Newest first at Stripe; the oldest is what happened first.
    listed = [stripe_api.plain(event) for event in found.auto_paging_iter()]
    known = set(
        StripeEvent.objects.filter(event_id__in=[event["id"] for event in listed]).values_list(
            "event_id", flat=True
        )
    )
    return sum(store(account, event) for event in reversed(listed) if event["id"] not in known)
