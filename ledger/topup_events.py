"""What the owner of a paywall is told about top-up links and checkouts."""

from collections.abc import Mapping
from typing import Any

from ledger.events import number
from ledger.models import TopUpLink
from webhooks import drafts, outbox
from webhooks.drafts import Draft, Subject, Trigger


def link_created(link: TopUpLink, url: str) -> None:
    """A top-up link was made."""
    data = {
        "walletUserId": link.user.public_id,
        "redirectUrl": url,
        "checkoutSessionId": link.public_id,
    }
    _emit(link, "paywall.balance.topup.link.created", data, drafts.SYSTEM)


def checkout_completed(link: TopUpLink, amount: int, session_id: str | None = None) -> None:
    """A checkout was paid (nano-dollars); the sandbox's session is the link itself."""
    data = {
        "checkoutSessionId": session_id or link.public_id,
        "amount": number(amount),
        "currency": "USD",
        "walletUserId": link.user.public_id,
    }
    trigger = Trigger("checkout", "end_user", link.user.external_id)
    _emit(link, "paywall.stripe.checkout.session.completed", data, trigger)


def _emit(link: TopUpLink, type: str, data: Mapping[str, Any], trigger: Trigger) -> None:
    subject = Subject("user", link.user.public_id, link.user.external_id)
    outbox.emit(link.user.paywall_id, Draft(type, data, subject, trigger))
