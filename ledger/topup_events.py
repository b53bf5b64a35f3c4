"""What the owner of a paywall is told about top-up links and checkouts.

A shared wallet's are told to the app in whose chat the link was shown, about its own end user, for as long as that user
is connected. What its owner does on the wallet's page is nobody else's business.
"""

from collections.abc import Mapping
from typing import Any

from ledger.events import number
from ledger.models import Account, StripeCheckout, TopUpLink
from paywalls.models import EndUser
from webhooks import drafts, outbox
from webhooks.drafts import Draft, Subject, Trigger


def link_created(link: TopUpLink, url: str) -> None:
    """A top-up link was made."""
    data = {"redirectUrl": url, "checkoutSessionId": link.public_id}
    _emit(_told(link), "paywall.balance.topup.link.created", data, drafts.SYSTEM)


def checkout_completed(link: TopUpLink, amount: int, session_id: str | None = None) -> None:
    """A checkout was paid (nano-dollars); the sandbox's session is the link itself."""
    data = {
        "checkoutSessionId": session_id or link.public_id,
        "amount": number(amount),
        "currency": "USD",
    }
    user = _told(link)
    trigger = Trigger("checkout", "end_user", user.external_id)
    _emit(user, "paywall.stripe.checkout.session.completed", data, trigger)


def auto_topup_failed(wallet: Account, amount: int, code: str) -> None:
    """An auto top-up (nano-dollars) was declined, and is switched off now; `code` is Stripe's.

    Of a shared wallet, the app is told in whose chat the card was saved.
    """
    saved = StripeCheckout.objects.filter(
        wallet=wallet, purpose=StripeCheckout.Purpose.SETUP, state=StripeCheckout.State.DONE
    ).select_related("link__user", "link__asked_by")
    last = saved.order_by("-id").first()
    user = _told(last.link) if last and last.link else wallet.user
    if user is not None:
        data = {"activityId": None, "amount": number(amount), "errorCode": code}
        _emit(user, "paywall.balance.charge.failed", data, drafts.SYSTEM)


def _told(link: TopUpLink) -> EndUser:
    """The end user as whom the link's owner is known to whoever is told."""
    asked_by = link.asked_by
    if asked_by and asked_by.connections.filter(ended_at=None, wallet_user__user=link.user).exists():
        return asked_by
    return link.user


def _emit(user: EndUser, type: str, data: Mapping[str, Any], trigger: Trigger) -> None:
    subject = Subject("user", user.public_id, user.external_id)
    draft = Draft(type, {"walletUserId": user.public_id, **data}, subject, trigger)
    outbox.emit(user.paywall_id, draft)
