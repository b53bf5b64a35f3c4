"""Which Stripe account takes the money: a default paywall's own, or the installation's for shared ones."""

import hashlib

import stripe
from django.conf import settings

from config import secrets
from ledger.models import StripeAccount
from ledger.payments import stripe_api
from paywalls.models import Paywall


class NotConnected(Exception):
    """No Stripe account takes money here (any more)."""


def owner_of(paywall: Paywall) -> Paywall | None:
    """Whose Stripe account takes the money of a paywall; None is the installation's."""
    return paywall if paywall.mode == Paywall.Mode.DEFAULT else None


def connected(owner: Paywall | None) -> StripeAccount | None:
    """The account that the owner has connected."""
    return StripeAccount.objects.select_related("paywall").filter(paywall=owner, disconnected_at=None).first()


def account_for(paywall: Paywall) -> StripeAccount | None:
    """The account that takes the money of this paywall's users."""
    return connected(owner_of(paywall))


def stored_key(owner: Paywall | None) -> str:
    """The secret key that the owner wants to use, in the clear; "" is none. Raises UndecryptableSecret."""
    return secrets.decrypt(owner.stripe_secret_key) if owner else settings.STRIPE_SECRET_KEY


def digest(key: str) -> str:
    """What is kept of a key to know it again."""
    return hashlib.sha256(key.encode()).hexdigest()


def client_of(account: StripeAccount) -> stripe.StripeClient:
    """A client of a connected account. Raises NotConnected, also where the key was changed and not verified yet."""
    key = stored_key(account.paywall)
    if account.disconnected_at or not key or digest(key) != account.key_digest:
        raise NotConnected(f"{account} is not connected with the stored key")
    return stripe_api.client(key)
