"""Does a key have the rights that we need? Each is tried by a call that changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import stripe

from ledger.payments import stripe_api
from paywalls.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class Right:
    """A permission of a restricted key, as Stripe's dashboard names it, and a call that needs it."""

    name: str
    level: str
    attempt: Callable[[stripe.StripeClient], Any]

    def __str__(self) -> str:
        return f"{self.name}: {self.level}"


# Write rights are tried with a request that Stripe must refuse for what it asks (HTTP 400), so that nothing is made.
RIGHTS = (
    Right("Checkout Sessions", "Write", lambda c: c.v1.checkout.sessions.create({"mode": "payment"})),
    Right("PaymentIntents", "Write", lambda c: c.v1.payment_intents.create({"amount": 0, "currency": "usd"})),
    Right("Customers", "Write", lambda c: c.v1.customers.create({"email": "not an address"})),
    Right("SetupIntents", "Read", lambda c: c.v1.setup_intents.list({"limit": 1})),
    Right("PaymentMethods", "Write", lambda c: c.v1.payment_methods.detach("pm_none")),
    Right("Events", "Read", lambda c: c.v1.events.list({"limit": 1})),
    Right("Charges", "Read", lambda c: c.v1.charges.list({"limit": 1})),
    Right("Disputes", "Read", lambda c: c.v1.disputes.list({"limit": 1})),
    Right("Prices", "Read", lambda c: c.v1.prices.list({"limit": 1})),
    Right("Invoices", "Read", lambda c: c.v1.invoices.list({"limit": 1})),
    Right(
        "Subscriptions",
        "Write",
        lambda c: c.v1.subscriptions.create({"customer": "", "items": []}),
    ),
    Right(
        "Webhook Endpoints",
        "Write",
        lambda c: c.v1.webhook_endpoints.create({"url": "no address", "enabled_events": ["*"]}),
    ),
)


def check_key(key: str) -> bool:
    """Whether the key is a live one. Raises InvalidSetting where Stripe doesn't take it or rights are missing."""
    if not key.startswith(("rk_live_", "rk_test_", "sk_live_", "sk_test_")):
        raise InvalidSetting(
            "must be a restricted key of Stripe; it starts with rk_live_ or rk_test_",
            param="stripe_secret_key",
        )
    asking = stripe_api.client(key)
    try:
        livemode = asking.v1.balance.retrieve().livemode
        missing = [str(right) for right in RIGHTS if _is_missing(right, asking)]
    except stripe.PermissionError:
        raise _missing(["Balance: Read"]) from None
    except stripe.AuthenticationError:
        raise InvalidSetting(
            "is not known to Stripe: copy the whole key, and see that it was not revoked",
            param="stripe_secret_key",
        ) from None
    except stripe.StripeError as error:
        raise InvalidSetting(
            f"can't be verified now: {stripe_api.reason(error)}", param="stripe_secret_key"
        ) from None
    if missing:
        raise _missing(missing)
    return livemode


def _is_missing(right: Right, asking: stripe.StripeClient) -> bool:
    try:
        right.attempt(asking)
    except stripe.PermissionError:
        return True
    except stripe.InvalidRequestError:
        return False
    return False


def _missing(rights: list[str]) -> InvalidSetting:
    return InvalidSetting(
        f"lacks rights; add these to the restricted key at Stripe: {', '.join(rights)}",
        param="stripe_secret_key",
    )
