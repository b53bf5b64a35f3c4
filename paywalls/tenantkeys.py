"""Keys of tenants for the metering API: made, found, rotated, revoked. Shown once; only the SHA-256 is stored."""

import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from paywalls.errors import InvalidSetting
from paywalls.keys import digest
from paywalls.models import Paywall, Scope, Tenant, TenantKey, TierLimits

PREFIX = "sk-tenant-"
_RANDOM_BYTES = 32

# How stale `last_used_at` may be: a write for each request would cost more than the request.
LAST_USED_STEP = timedelta(minutes=5)
# How long a rotated key works beside the new one, unless said otherwise, and at the most.
OVERLAP_SECONDS = 24 * 3600
MAX_OVERLAP_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the metering API: a live key, its tenant, and what the tier says.

    `rate_per_minute` is None for the installation's default, `home_id` None where the tenant has no paywall yet.
    """

    tenant: Tenant
    key: TenantKey
    home_id: uuid.UUID | None
    rate_per_minute: int | None
    monthly_events: int | None

    def may(self, scope: str) -> bool:
        """Whether the key has the scope."""
        return scope in self.key.scopes


def issue(
    tenant: Tenant,
    *,
    name: str = "",
    scopes: Collection[str] = tuple(Scope),
    expires_at: datetime | None = None,
) -> tuple[TenantKey, str]:
    """A new key and its text, which can't be read again. Raises InvalidSetting."""
    unknown = [scope for scope in scopes if scope not in Scope.values]
    if unknown or not scopes:
        raise InvalidSetting(f"must list some of {', '.join(Scope.values)}", param="scopes")
    if expires_at and expires_at <= timezone.now():
        raise InvalidSetting("must be in the future", param="expiresAt")
    plain = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    key = TenantKey.objects.create(
        tenant=tenant,
        name=name,
        scopes=sorted({str(scope) for scope in scopes}),
        digest=digest(plain),
        last_four=plain[-4:],
        expires_at=expires_at,
    )
    return key, plain


def rotate(key: TenantKey, overlap_seconds: int = OVERLAP_SECONDS) -> tuple[TenantKey, str] | None:
    """A new key of the same name and scopes; the old one works for `overlap_seconds` more, or until it expires.

    None where the old one is dead already: a lost key must not bring forth a live one.
    """
    with transaction.atomic():
        old = live().select_for_update(of=("self",)).filter(pk=key.pk).first()
        if old is None:
            return None
        made = issue(old.tenant, name=old.name, scopes=old.scopes, expires_at=old.expires_at)
        end = timezone.now() + timedelta(seconds=overlap_seconds)
        old.expires_at = min(filter(None, (old.expires_at, end)))
        old.save(update_fields=["expires_at"])
    return made


def revoke(key: TenantKey) -> bool:
    """Refuse the key from the next request on; whether it was live until now."""
    revoked = TenantKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now())
    key.refresh_from_db(fields=["revoked_at"])
    return bool(revoked)


def live() -> QuerySet[TenantKey]:
    """The keys that are accepted now."""
    return TenantKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)


def find(plain: str) -> Caller | None:
    """The caller with this live key, in one query; None where it is unknown, expired or revoked."""
    home = Paywall.objects.filter(tenant_id=OuterRef("tenant_id"), is_home=True).values("id")
    limits = TierLimits.objects.filter(tier=OuterRef("tenant__tier"))
    key = (
        live()
        .select_related("tenant")
        .annotate(
            home_id=Subquery(home[:1]),
            rate_per_minute=Subquery(limits.values("rate_per_minute")[:1]),
            monthly_events=Subquery(limits.values("monthly_events")[:1]),
        )
        .filter(digest=digest(plain))
        .first()
    )
    if key is None:
        return None
    return Caller(key.tenant, key, key.home_id, key.rate_per_minute, key.monthly_events)


def note_use(key: TenantKey) -> None:
    """Remember that the key was used, if that was not noted a moment ago."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at <= now - LAST_USED_STEP:
        TenantKey.objects.filter(pk=key.pk).filter(
            Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_STEP)
        ).update(last_used_at=now)
