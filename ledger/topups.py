"""Top-up links: short, unguessable, expiring, bound to one end user; and the sandbox checkout behind them."""

import base64
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from config import money
from ledger import services, topup_events
from ledger.errors import SourceReused
from ledger.models import StripeCheckout, TopUpLink, Transfer
from ledger.models.stripe_payment import source_of
from ledger.payments import accounts
from paywalls import connections, returns
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef

CENT = money.NANO // 100

_MAC_BYTES = 16


class UnknownLink(Exception):
    """The token is none of ours: mistyped, altered, forged, or its user was removed."""


class ExpiredLink(Exception):
    """The link is ours and its time is over."""


class ClosedLink(Exception):
    """The link's user is blocked or its paywall archived: nobody should pay for what they can't use."""


class CheckoutNotAllowed(Exception):
    """The sandbox checkout may not give credit here."""


def link_of(ref: UserRef, return_url: str = "") -> str:
    """The absolute URL of a page that fills the wallet from which this end user pays: in shared mode their person's.

    Raises NotConnected, UnknownPaywall, Contention, Blocked, or InvalidSetting as `link_for`.
    """
    connection = connections.live(ref)
    if connection is None:
        return link_for(services.payer_of(ref), return_url)
    return link_for(connection.wallet_user.user, return_url, asked_by=connection.user)


def link_for(user: EndUser, return_url: str = "", asked_by: EndUser | None = None) -> str:
    """The absolute URL of a page where this end user adds money, and goes on to `return_url` afterwards.

    `asked_by` is the end user of a shared paywall in whose chat the link of a wallet is shown. Raises InvalidSetting
    (param "returnUrl") where the paywall doesn't allow that address.

    Answers the user's unpaid link while at least half of its life is left, so that a chat that asks again
    gets the same link. Two chats that ask at the same moment may each make one; both are good, and each pays
    once.
    """
    if return_url:
        returns.check((asked_by or user).paywall, return_url)
    soonest = timezone.now() + timedelta(seconds=settings.TOPUP_LINK_SECONDS / 2)
    wanted = {"user": user, "asked_by": asked_by, "return_url": return_url}
    unpaid = TopUpLink.objects.filter(paid_at=None, expires_at__gte=soonest, **wanted)
    return url_of(unpaid.order_by("-expires_at").first() or _make_link(**wanted))


def _make_link(**wanted: Any) -> TopUpLink:
    until = timezone.now() + timedelta(seconds=settings.TOPUP_LINK_SECONDS)
    with transaction.atomic():
        link = TopUpLink.objects.create(expires_at=until, **wanted)
        topup_events.link_created(link, url_of(link))
    return link


def url_of(link: TopUpLink) -> str:
    """The absolute URL of a link's page."""
    return f"{settings.PUBLIC_URL}/t/{token_of(link.id)}"


def token_of(link_id: uuid.UUID) -> str:
    """What a link's URL ends with: its key and 128 bits of HMAC-SHA256 over it, 43 characters of base64."""
    mac = salted_hmac("ledger.topups", link_id.bytes, algorithm="sha256").digest()[:_MAC_BYTES]
    return base64.urlsafe_b64encode(link_id.bytes + mac).rstrip(b"=").decode()


def open_link(token: str) -> TopUpLink:
    """The link behind a token, with its user and paywall. Raises UnknownLink, ExpiredLink or ClosedLink."""
    try:
        claimed = uuid.UUID(bytes=base64.urlsafe_b64decode(f"{token}=")[:16])
    except ValueError:
        raise UnknownLink from None
    # Compared as text: base64 has spare bits at its end, so that altered tokens can decode to the same bytes.
    if not constant_time_compare(token, token_of(claimed)):
        raise UnknownLink
    link = TopUpLink.objects.select_related("user__paywall", "asked_by__paywall").filter(id=claimed).first()
    if link is None:
        raise UnknownLink
    if link.expires_at <= timezone.now():
        raise ExpiredLink
    if link.user.blocked_at or link.user.paywall.archived_at:
        raise ClosedLink
    return link


def sandbox_checkout_allowed(paywall: Paywall) -> bool:
    """Whether credit may be given away: only where there is no real money, the paywall's or anybody's."""
    owner = accounts.owner_of(paywall)
    has_key = bool(owner.stripe_secret_key if owner else settings.STRIPE_SECRET_KEY)
    return settings.SANDBOX_CHECKOUT and not settings.PRODUCTION and not has_key


def check_amount(paywall: Paywall, amount: int) -> None:
    """Raises money.InvalidAmount where the paywall takes no top-up of so many nano-dollars."""
    least, most = paywall.topup_minimum, paywall.topup_maximum
    if not least <= amount <= most or amount % CENT:
        raise money.InvalidAmount(
            f"must be whole cents between {money.formatted(least)} and {money.formatted(most)}"
        )


def pay_in_sandbox(link: TopUpLink, amount: int) -> None:
    """Credit `amount` nano-dollars to the link's user without taking money. A link pays once.

    Raises CheckoutNotAllowed, money.InvalidAmount, or the ledger's BalanceTooLarge or Contention; then
    nothing is credited.
    """
    if not sandbox_checkout_allowed(link.user.paywall):
        raise CheckoutNotAllowed
    check_amount(link.user.paywall, amount)
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
    sessions = link.checkouts.filter(purpose=StripeCheckout.Purpose.PAYMENT).exclude(session_id=None)
    sources = [source_of(str(session)) for session in sessions.values_list("session_id", flat=True)]
    credited = Transfer.objects.filter(source__in=[_source(link), *sources])
    return credited.values_list("amount", flat=True).first()


def _source(link: TopUpLink) -> str:
    return f"sandbox-topup:{link.id.hex}"
