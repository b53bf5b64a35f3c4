"""The webhook endpoint that we keep at Stripe for an account."""

import uuid
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import stripe
from django.conf import settings

from config import ids

# What we want to be told. A handler for each is in incoming.py.
EVENTS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "charge.refund.updated",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "invoice.paid",
    "customer.subscription.updated",
    "customer.subscription.deleted",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint that Stripe just made; the only time that it tells the secret."""

    id: str
    url: str
    secret: str


def stripe_reaches_us() -> bool:
    """Whether Stripe can call PUBLIC_URL: not where that is this machine, unless Stripe is on it as well (tests)."""
    return not _is_own_machine(settings.PUBLIC_URL) or _is_own_machine(settings.STRIPE_API_BASE)


def url_of(account_id: uuid.UUID) -> str:
    """Where Stripe sends the events of an account."""
    return f"{settings.PUBLIC_URL}/stripe/webhooks/{ids.public('stripe_account', account_id)}"


def register(asking: stripe.StripeClient, account_id: uuid.UUID) -> Endpoint:
    """Make an endpoint at Stripe. Raises stripe.StripeError."""
    url = url_of(account_id)
    made = asking.v1.webhook_endpoints.create(
        {
            "url": url,
            "enabled_events": list(EVENTS),  # type: ignore[arg-type]  # the library lists them as literals
            "api_version": stripe.api_version,  # type: ignore[typeddict-item]  # the one it was made for
            "description": "Tollgate: credits top-ups. Made and removed by Tollgate.",
        }
    )
    assert made.secret
    return Endpoint(made.id, url, made.secret)


def remove(asking: stripe.StripeClient, endpoint_id: str) -> None:
    """Remove an endpoint at Stripe; one that is gone is fine. Raises stripe.StripeError."""
    try:
        asking.v1.webhook_endpoints.delete(endpoint_id)
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise


def remove_strays(asking: stripe.StripeClient, account_id: uuid.UUID, keep: set[str]) -> None:
    """Remove endpoints of this account's URL that a process left behind which died before it could note them."""
    listed: Any = asking.v1.webhook_endpoints.list({"limit": 100})
    for endpoint in listed.auto_paging_iter():
        if endpoint.url == url_of(account_id) and endpoint.id not in keep:
            remove(asking, endpoint.id)


def exists(asking: stripe.StripeClient, endpoint_id: str) -> bool:
    """Whether the key's account has this endpoint. Raises stripe.StripeError."""
    try:
        asking.v1.webhook_endpoints.retrieve(endpoint_id)
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            return False
        raise
    return True


def _is_own_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
