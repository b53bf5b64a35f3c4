"""Checkout Sessions: made when an end user decides, and looked at until their end is known."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import stripe
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from config import ids
from ledger import topup_events
from ledger.models import Account, StripeAccount, StripeCheckout, StripePayment, TopUpLink
from ledger.payments import accounts, attention, cards, plans, refunds, stripe_api
from ledger.payments.credit import credit
from paywalls.models import Plan
from paywalls.models.paywall import WALLETS

if TYPE_CHECKING:
    from stripe.params.checkout import SessionCreateParams

log = logging.getLogger("tollgate.payments")

# How long a session can be paid.
SESSION_LIFE = timedelta(hours=1)
# How often an unfinished session is asked for: where Stripe's webhooks reach us, and where they can't.
POLL_EVERY = timedelta(minutes=10)
POLL_EVERY_WITHOUT_WEBHOOKS = timedelta(seconds=5)
# A page that waits asks no more often than this, however many look at it.
LOOK_EVERY = timedelta(seconds=2)

_POLL_BATCH = 50
_EXPAND = ["payment_intent.latest_charge", "setup_intent.payment_method", "subscription"]

State = StripeCheckout.State
Purpose = StripeCheckout.Purpose


class CheckoutFailed(Exception):
    """Stripe made no session: nothing was charged. The message is for an operator's log."""


def begin_payment(account: StripeAccount, link: TopUpLink, amount: int, *, page: str) -> StripeCheckout:
    """A session in which the link's user pays `amount` nano-dollars (whole cents). `page` is the link's URL.

    Sessions of the same link that are still open end first, so that no link is paid twice. Raises CheckoutFailed or
    NotConnected.
    """
    _end_others(account, link)
    checkout = _new(account, link, purpose=Purpose.PAYMENT, amount=amount)
    product = {"name": _product(link)}
    price = {
        "currency": stripe_api.CURRENCY,
        "unit_amount": stripe_api.cents(amount),
        "product_data": product,
    }
    return _ask(
        checkout,
        page,
        {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 1}],
            "payment_intent_data": {"metadata": metadata_of(checkout)},
        },
    )


def begin_setup(
    account: StripeAccount, link: TopUpLink, wishes: dict[str, int], *, page: str
) -> StripeCheckout:
    """A session in which the link's user saves a card for auto top-up; `wishes` as in `cards.save`. Raises as above."""
    checkout = _new(account, link, purpose=Purpose.SETUP, wishes=wishes)
    return _ask(
        checkout,
        page,
        {
            "mode": "setup",
            "currency": stripe_api.CURRENCY,
            "customer_creation": "always",
            "setup_intent_data": {"metadata": metadata_of(checkout)},
        },
    )


def begin_subscription(account: StripeAccount, link: TopUpLink, plan: Plan, *, page: str) -> StripeCheckout:
    """A session in which the link's user subscribes to a plan. Raises as above."""
    _end_others(account, link)
    checkout = _new(account, link, purpose=Purpose.SUBSCRIPTION, plan=plan)
    return _ask(
        checkout,
        page,
        {
            "mode": "subscription",
            "line_items": [{"price": plan.price_id, "quantity": 1}],
            "subscription_data": {"metadata": metadata_of(checkout)},
        },
    )


def _product(link: TopUpLink) -> str:
    """What is bought, as Stripe's page and receipt name it in the end user's language."""
    if link.user.paywall_id == WALLETS:
        return _("Your wallet")
    return _("Balance of %(name)s") % {"name": link.user.paywall.name}


def metadata_of(checkout: StripeCheckout) -> dict[str, str]:
    """What the session carries to be told from anybody else's."""
    assert checkout.link
    user = checkout.link.user
    return {
        "tollgate_checkout": checkout.pk.hex,
        "paywall": ids.public("paywall", user.paywall_id),
        "user": user.public_id,
        "link": checkout.link.public_id,
    }


def _new(account: StripeAccount, link: TopUpLink, **what: Any) -> StripeCheckout:
    wallet = Account.objects.get(user=link.user)
    return StripeCheckout.objects.create(
        account=account, wallet=wallet, link=link, checked_at=timezone.now(), **what
    )


def _ask(checkout: StripeCheckout, page: str, params: dict[str, Any]) -> StripeCheckout:
    """Make the session at Stripe; the row was written before, and its key makes a repeated call the same one."""
    expires = timezone.now() + SESSION_LIFE
    common = {
        "client_reference_id": checkout.pk.hex,
        "metadata": metadata_of(checkout),
        "success_url": f"{page}?checkout={checkout.pk.hex}",
        "cancel_url": page,
        "expires_at": int(expires.timestamp()),
    }
    try:
        session = accounts.client_of(checkout.account).v1.checkout.sessions.create(
            cast("SessionCreateParams", {**common, **params}),
            {"idempotency_key": f"tollgate-checkout-{checkout.pk.hex}"},
        )
    except stripe.StripeError as error:
        _end(checkout, State.FAILED, stripe_api.reason(error))
        log.error("Stripe made no checkout session: %s", stripe_api.reason(error))
        raise CheckoutFailed(stripe_api.reason(error)) from error
    # A webhook may have been faster and have settled it by now.
    StripeCheckout.objects.filter(pk=checkout.pk, state=State.MADE).update(
        session_id=session.id, url=session.url or "", state=State.OPEN
    )
    checkout.refresh_from_db()
    return checkout


def _end_others(account: StripeAccount, link: TopUpLink) -> None:
    """Expire the link's open sessions at Stripe; one that was completed meanwhile is settled instead."""
    for other in StripeCheckout.objects.filter(link=link, state=State.OPEN).exclude(purpose=Purpose.SETUP):
        try:
            accounts.client_of(other.account).v1.checkout.sessions.expire(str(other.session_id))
        except stripe.InvalidRequestError:
            settle(other)
        except (stripe.StripeError, accounts.NotConnected) as error:
            log.warning("an earlier session of the link could not be ended: %s", error)
        else:
            _end(other, State.EXPIRED)


# --- How it ended ----------------------------------------------------------------------------------------


def look(checkout: StripeCheckout) -> StripeCheckout:
    """Settle a checkout that somebody waits for, unless it was asked for just now. Never fails."""
    due = timezone.now() - LOOK_EVERY
    asked = StripeCheckout.objects.filter(
        Q(checked_at=None) | Q(checked_at__lte=due), pk=checkout.pk, state__in=StripeCheckout.LIVE
    ).update(checked_at=timezone.now())
    if asked:
        _try(checkout)
    checkout.refresh_from_db()
    return checkout


def poll() -> int:
    """Ask Stripe about sessions that are unfinished for long: their webhook may be lost. The number asked for."""
    now = timezone.now()
    live = StripeCheckout.objects.filter(state__in=StripeCheckout.LIVE)
    for row in live.filter(state=State.MADE, created_at__lte=now - SESSION_LIFE):
        _end(row, State.FAILED, "Stripe's answer never came, so nobody was sent to pay.")
    due = live.exclude(session_id=None).filter(
        Q(checked_at__lte=now - POLL_EVERY)
        | Q(account__endpoint_id="", checked_at__lte=now - POLL_EVERY_WITHOUT_WEBHOOKS)
    )
    asked = 0
    for row in due.select_related("account__paywall").order_by("checked_at")[:_POLL_BATCH]:
        if StripeCheckout.objects.filter(pk=row.pk, checked_at=row.checked_at).update(checked_at=now):
            asked += 1
            _try(row)
    return asked


def _try(checkout: StripeCheckout) -> None:
    try:
        settle(checkout)
    except Exception as error:
        # It stays as it is and is asked for again; one that can't be settled must not keep the others waiting.
        log.warning("the checkout %s could not be settled: %r", checkout, error)


def settle(checkout: StripeCheckout) -> None:
    """Ask Stripe how a session stands, and credit what was paid. Again changes nothing.

    Raises stripe.StripeError, NotConnected, or the ledger's refusal; then it can be tried again.
    """
    if checkout.state not in StripeCheckout.LIVE or not checkout.session_id:
        return
    asking = accounts.client_of(checkout.account)
    session = stripe_api.plain(asking.v1.checkout.sessions.retrieve(checkout.session_id, {"expand": _EXPAND}))
    if session["status"] == "expired":
        _end(checkout, State.EXPIRED)
    if session["status"] != "complete":
        return
    if wrong := _differences(session, checkout):
        _end(checkout, State.MISMATCH, wrong)
        attention.tell()
    elif checkout.purpose == Purpose.SETUP:
        cards.save(checkout, session["setup_intent"])
    elif checkout.purpose == Purpose.SUBSCRIPTION:
        _subscribed(checkout, session)
    elif session["payment_status"] == "paid":
        _paid(checkout, session)
    elif (session.get("payment_intent") or {}).get("status") in ("requires_payment_method", "canceled"):
        _end(checkout, State.FAILED, "The payment failed after the checkout.")
    else:
        StripeCheckout.objects.filter(pk=checkout.pk, state=State.OPEN).update(state=State.PROCESSING)


def _differences(session: dict[str, Any], checkout: StripeCheckout) -> str:
    """What of a completed session is not what we asked for; "" where all of it is."""
    wanted: dict[str, Any] = {
        "id": checkout.session_id,
        "client_reference_id": checkout.pk.hex,
        "mode": checkout.purpose,
        "livemode": checkout.account.livemode,
    }
    found = {name: session.get(name) for name in wanted}
    if checkout.link:
        metadata = metadata_of(checkout)
        wanted |= metadata
        found |= {name: (session.get("metadata") or {}).get(name) for name in metadata}
    if checkout.purpose == Purpose.PAYMENT:
        wanted |= {"currency": stripe_api.CURRENCY, "amount_total": stripe_api.cents(checkout.amount)}
        found |= {"currency": session.get("currency"), "amount_total": session.get("amount_total")}
    return "; ".join(
        f"{name} is {found[name]!r} and should be {value!r}"
        for name, value in wanted.items()
        if found[name] != value
    )


def _paid(checkout: StripeCheckout, session: dict[str, Any]) -> None:
    intent = session.get("payment_intent") or {}
    with transaction.atomic():
        locked = StripeCheckout.objects.select_for_update().get(pk=checkout.pk)
        if locked.state not in StripeCheckout.LIVE:
            return
        credit(
            checkout.account,
            checkout.wallet,
            StripePayment.Kind.CHECKOUT,
            session["id"],
            payment_intent=intent.get("id") or "",
            amount=checkout.amount,
            credited=checkout.amount,
        )
        _finish(checkout, amount=checkout.amount)
    charge = intent.get("latest_charge") or {}
    if charge.get("amount_refunded") or charge.get("disputed"):
        # It was taken back before we gave it.
        refunds.sync(checkout.account, intent["id"])


def _subscribed(checkout: StripeCheckout, session: dict[str, Any]) -> None:
    plans.begin(checkout, session["subscription"])
    if invoice := session.get("invoice"):
        # Its event may have come before the subscription was known here, and was nobody's then.
        plans.grant(checkout.account, invoice)
    with transaction.atomic():
        locked = StripeCheckout.objects.select_for_update().get(pk=checkout.pk)
        if locked.state in StripeCheckout.LIVE:
            _finish(checkout, amount=stripe_api.nano(session.get("amount_total") or 0))


def _finish(checkout: StripeCheckout, *, amount: int) -> None:
    """Close a checkout that was paid with `amount` nano-dollars, and its link; in a transaction."""
    StripeCheckout.objects.filter(pk=checkout.pk).update(state=State.DONE, error="")
    if checkout.link:
        TopUpLink.objects.filter(pk=checkout.link.pk, paid_at=None).update(paid_at=timezone.now())
        topup_events.checkout_completed(checkout.link, amount, checkout.session_id)


def _end(checkout: StripeCheckout, state: StripeCheckout.State, error: str = "") -> None:
    StripeCheckout.objects.filter(pk=checkout.pk, state__in=StripeCheckout.LIVE).update(
        state=state, error=error
    )
