"""Paywall keys: made, found, revoked. A key is shown once, when it is made; only its SHA-256 is stored."""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Least, Now

from paywalls import events
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallKey

Kind = PaywallKey.Kind
PREFIX = PaywallKey.PREFIXES[Kind.SECRET]
_RANDOM_BYTES = 32

# How long a rotated key works beside the new one at the most.
MAX_OVERLAP_SECONDS = 30 * 24 * 3600


def generate(kind: Kind = Kind.SECRET) -> str:
    """A new key: its kind's prefix and 256 random bits, in the alphabet of URLs. It is stored nowhere yet."""
    return PaywallKey.PREFIXES[kind] + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(plain: str) -> str:
    """What is stored of a key: its SHA-256 in hex. Random bits this many need no slow hash."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def issue_key(paywall: Paywall, kind: Kind = Kind.SECRET) -> str:
    """Make a key of the paywall and answer it. It can't be read again."""
    plain = generate(kind)
    _store(paywall, plain, kind)
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
    if not live().filter(pk=known.pk).exists():
        raise InvalidSetting("was revoked; make another one", param="key")
    return known


def revoke_key(key: PaywallKey) -> bool:
    """Refuse the key from the next request on; whether it was live until now."""
    revoked = PaywallKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now())
    key.refresh_from_db(fields=["revoked_at"])
    return bool(revoked)


def rotate_key(key: PaywallKey, *, actor_type: str, actor_id: str, overlap_seconds: int = 0) -> str | None:
    """Answer a new key of the same paywall and kind; the old one works for `overlap_seconds` more, 0 revokes it.

    None where the old one is dead already: a lost key must not bring forth a live one. An overlap never lengthens
    one that was chosen before. Raises InvalidSetting.
    """
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidSetting(f"must be from 0 to {MAX_OVERLAP_SECONDS} seconds", param="overlap_seconds")
    with transaction.atomic():
        old = live().select_for_update(no_key=True).filter(pk=key.pk).first()
        if old is None:
            return None
        if overlap_seconds:
            end = Now() + timedelta(seconds=overlap_seconds)
            # LEAST leaves out what is NULL.
            PaywallKey.objects.filter(pk=key.pk).update(expires_at=Least("expires_at", end))
            key.refresh_from_db(fields=["expires_at"])
        else:
            revoke_key(key)
        plain = issue_key(old.paywall, Kind(old.kind))
        events.secret_rotated(old.paywall_id, plain[-4:], actor_type, actor_id)
    return plain


def live() -> QuerySet[PaywallKey]:
    """The keys that are accepted now."""
    return PaywallKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)


def find(plain: str) -> PaywallKey | None:
    """The live key, with its paywall and tenant; None where it is unknown, expired or revoked."""
    return live().select_related("paywall__tenant").filter(digest=digest(plain)).first()


def presented(authorization: str, x_api_key: str) -> str:
    """The key in a request's two headers ("" where absent): `Bearer …` goes before X-API-Key; "" is none."""
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return x_api_key.strip()


def _store(paywall: Paywall, plain: str, kind: Kind = Kind.SECRET) -> PaywallKey:
    return PaywallKey.objects.create(paywall=paywall, kind=kind, digest=digest(plain), last_four=plain[-4:])
