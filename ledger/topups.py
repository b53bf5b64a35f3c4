"""Top-up links: short, unguessable, expiring, bound to one end user; and the sandbox checkout behind them."""

import base64
import uuid
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from config import money
from ledger import services, topup_events
from ledger.errors import SourceReused
from ledger.models import TopUpLink, Transfer
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef

# What one top-up may be (nano-dollars).
MIN_TOPUP = 1 * money.NANO
MAX_TOPUP = 500 * money.NANO

_MAC_BYTES = 16


class UnknownLink(Exception):
    """The token is none of ours: mistyped, altered, forged, or its user was removed."""


class ExpiredLink(Exception):
    """The link is ours and its time is over."""


class CheckoutNotAllowed(Exception):
    """The sandbox checkout may not give credit here."""


def link_for(user: EndUser) -> str:
    """The absolute URL of a page where this end user adds money.

    Answers the user's unpaid link while at least half of its life is left, so that a chat that asks again
    gets the same link. Two chats that ask at the same moment may each make one; both are good, and each pays
    once.
    """
    soonest = timezone.now() + timedelta(seconds=settings.TOPUP_LINK_SECONDS / 2)
    unpaid = TopUpLink.objects.filter(user=user, paid_at=None, expires_at__gte=soonest)
    return _url(unpaid.order_by("-expires_at").first() or _make_link(user))


def _make_link(user: EndUser) -> TopUpLink:
    until = timezone.now() + timedelta(seconds=settings.TOPUP_LINK_SECONDS)
    with transaction.atomic():
        link = TopUpLink.objects.create(user=user, expires_at=until)
        topup_events.link_created(link, _url(link))
    return link


def _url(link: TopUpLink) -> str:
    return f"{settings.PUBLIC_URL}/t/{token_of(link.id)}"


def invitation(paywall_name: str, url: str) -> str:
    """What to tell an end user whose balance doesn't cover a request; any chat can show it as it is."""
    return f"Your balance for {paywall_name} does not cover this request. Top up here, then go on: {url}"


def token_of(link_id: uuid.UUID) -> str:
    """What a link's URL ends with: its key and 128 bits of HMAC-SHA256 over it, 43 characters of base64."""
    mac = salted_hmac("ledger.topups", link_id.bytes, algorithm="sha256").digest()[:_MAC_BYTES]
    return base64.urlsafe_b64encode(link_id.bytes + mac).rstrip(b"=").decode()


def open_link(token: str) -> TopUpLink:
    """The link behind a token, with its user and paywall. Raises UnknownLink or ExpiredLink."""
    try:
        claimed = uuid.UUID(bytes=base64.urlsafe_b64decode(f"{token}=")[:16])
    except ValueError:
        raise UnknownLink from None
    # Compared as text: base64 has spare bits at its end, so that altered tokens can decode to the same bytes.
    if not constant_time_compare(token, token_of(claimed)):
        raise UnknownLink
    link = TopUpLink.objects.select_related("user__paywall").filter(id=claimed).first()
    if link is None:
        raise UnknownLink
    if link.expires_at <= timezone.now():
        raise ExpiredLink
    return link


def sandbox_checkout_allowed(paywall: Paywall) -> bool:
    """Whether credit may be given away: only where there is no real money, the paywall's or anybody's."""
    return settings.SANDBOX_CHECKOUT and not settings.PRODUCTION and not paywall.stripe_secret_key


def pay_in_sandbox(link: TopUpLink, amount: int) -> None:
    """Credit `amount` nano-dollars to the link's user without taking money. A link pays once.

    Raises CheckoutNotAllowed, money.InvalidAmount, or the ledger's BalanceTooLarge or Contention; then
    nothing is credited.
    """
    if not sandbox_checkout_allowed(link.user.paywall):
        raise CheckoutNotAllowed
    if not MIN_TOPUP <= amount <= MAX_TOPUP:
        raise money.InvalidAmount(
            f"must be between {money.formatted(MIN_TOPUP)} and {money.formatted(MAX_TOPUP)}"
        )
    if link.paid_at is not None:
        return
    user = UserRef(link.user.paywall_id, link.user.external_id)
    with suppress(SourceReused):  # a click before this one paid another amount
        services.sandbox_deposit(user, amount, source=_source(link))
    with transaction.atomic():
        if TopUpLink.objects.filter(id=link.id, paid_at=None).update(paid_at=timezone.now()):
            topup_events.checkout_completed(link, amount)


def paid_amount(link: TopUpLink) -> int | None:
    """What was credited through this link (nano-dollars); None before it is paid."""
    return Transfer.objects.filter(source=_source(link)).values_list("amount", flat=True).first()


def _source(link: TopUpLink) -> str:
    return f"sandbox-topup:{link.id.hex}"
