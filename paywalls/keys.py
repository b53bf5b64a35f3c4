"""Paywall keys: made, found, revoked. A key is shown once, when it is made; only its SHA-256 is stored."""

import hashlib
import secrets

from django.db import transaction
from django.db.models.functions import Now

from paywalls import events
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallKey

PREFIX = "sk-paywalls-"
_RANDOM_BYTES = 32


def generate() -> str:
    """A new key: the prefix and 256 random bits, in the alphabet of URLs. It is stored nowhere yet."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(plain: str) -> str:
    """What is stored of a key: its SHA-256 in hex. Random bits this many need no slow hash."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def issue_key(paywall: Paywall) -> str:
    """Make a key of the paywall and answer it. It can't be read again."""
    plain = generate()
    _store(paywall, plain)
    return plain


def register_key(paywall: Paywall, plain: str) -> PaywallKey:
    """Accept a key that was made elsewhere (`generate`), such as the demo's kept one; again changes nothing.

    Raises InvalidSetting where it is no such key, is another paywall's, or was revoked.
    """
    if not plain.startswith(PREFIX) or len(plain) < len(PREFIX) + 43:
        raise InvalidSetting(f'must be "{PREFIX}" and 256 random bits in base64 (43 characters)', param="key")
    known = PaywallKey.objects.filter(digest=digest(plain)).first()
    if known is None:
        return _store(paywall, plain)
    if known.paywall_id != paywall.pk:
        raise InvalidSetting("is another paywall's key", param="key")
    if known.revoked_at:
        raise InvalidSetting("was revoked; make another one", param="key")
    return known


def revoke_key(key: PaywallKey) -> bool:
    """Refuse the key from the next request on; whether it was live until now."""
    revoked = PaywallKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now())
    key.refresh_from_db(fields=["revoked_at"])
    return bool(revoked)


def replace_key(key: PaywallKey, *, actor_type: str, actor_id: str) -> str | None:
    """Revoke a key and answer a new one of its paywall; None where it was revoked before."""
    with transaction.atomic():
        if not revoke_key(key):
            return None
        plain = issue_key(key.paywall)
        events.secret_rotated(key.paywall_id, plain[-4:], actor_type, actor_id)
    return plain


def find(plain: str) -> PaywallKey | None:
    """The live key, with its paywall and tenant; None where it is unknown or revoked."""
    return (
        PaywallKey.objects.select_related("paywall__tenant")
        .filter(digest=digest(plain), revoked_at=None)
        .first()
    )


def presented(authorization: str, x_api_key: str) -> str:
    """The key in a request's two headers ("" where absent): `Bearer …` goes before X-API-Key; "" is none."""
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return x_api_key.strip()


def _store(paywall: Paywall, plain: str) -> PaywallKey:
    return PaywallKey.objects.create(paywall=paywall, digest=digest(plain), last_four=plain[-4:])
