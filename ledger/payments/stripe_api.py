"""Talking to Stripe: the official library with time-outs, retries and amounts of our own."""

from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings

from config.money import NANO

CURRENCY = "usd"
# Seconds to connect, and to wait for an answer: a person may be waiting behind it.
TIMEOUTS = (5.0, 20.0)
# Tries of the library's own after a network fault or a 5xx, with the same idempotency key.
RETRIES = 2

_CENT = NANO // 100


def client(key: str) -> stripe.StripeClient:
    """A client with this secret key. Clients share one HTTP session a thread."""
    return _client(key, settings.STRIPE_API_BASE)


@lru_cache(maxsize=64)
def _client(key: str, base: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        http_client=_http(),
        max_network_retries=RETRIES,
    )


@lru_cache(maxsize=1)
def _http() -> stripe.RequestsClient:
    return stripe.RequestsClient(timeout=TIMEOUTS)


def plain(answer: stripe.StripeObject) -> dict[str, Any]:
    """What Stripe answered as plain dicts and lists."""
    return answer.to_dict()


def cents(nano: int) -> int:
    """Stripe's unit of an amount of whole cents. Raises ValueError where it is none."""
    if nano % _CENT:
        raise ValueError(f"{nano} nano-dollars are no whole cents")
    return nano // _CENT


def nano(cents: int) -> int:
    """The nano-dollars of Stripe's cents."""
    return cents * _CENT


def reason(error: stripe.StripeError) -> str:
    """Why Stripe refused or could not be reached, as one line for an operator; never a key."""
    return " ".join((error.user_message or str(error) or type(error).__name__).split())


def passes(error: stripe.StripeError) -> bool:
    """Whether the same call may work later by itself: the network, Stripe's own fault, or too many calls."""
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return True
    return error.http_status is None or error.http_status >= 500 or error.http_status == 409
