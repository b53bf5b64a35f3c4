"""Who calls the REST API: the paywall, or on the metering API the tenant, whose key the request carries."""

from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from config.audited import audit_as
from paywalls import keys, tenantkeys, usertokens
from paywalls.callers import CallerRules, SecretKeyRequired
from paywalls.errors import MissingKey, MissingTenantKey, PaywallArchived, UnknownKey, UnknownTenantKey
from paywalls.models import AuditEntry, Paywall, PaywallKey, TenantKey
from paywalls.tenantkeys import Caller


@dataclass(frozen=True)
class KeyHolder:
    """Stands for `request.user`: whoever holds a paywall's key. No account of this installation."""

    key: PaywallKey
    # The end user whose token came with the key; a publishable key always has one.
    user: str | None = None
    is_authenticated: bool = True


@dataclass(frozen=True)
class TenantKeyHolder:
    """Stands for `request.user`: whoever holds a tenant's key."""

    key: TenantKey
    is_authenticated: bool = True


class PaywallKeyAuthentication(BaseAuthentication):
    """`request.auth` becomes the Paywall. A request without a live key is refused with 401.

    A view for everybody says `authentication_classes = []`.
    """

    def authenticate(self, request: Request) -> tuple[KeyHolder, Paywall]:
        """Raises MissingKey, UnknownKey, PaywallArchived, or what `callers` and `usertokens` refuse."""
        plain = keys.presented(request.headers.get("Authorization", ""), request.headers.get("X-API-Key", ""))
        if not plain:
            raise MissingKey
        key = keys.find(plain)
        if key is None:
            raise UnknownKey
        if key.paywall.archived_at:
            raise PaywallArchived
        holder = KeyHolder(key, _token_user(request, key))
        if _is_audited(request):
            audit_as(
                request._request, AuditEntry.Actor.PAYWALL_KEY, f"…{key.last_four}", key.paywall.tenant_id
            )
        return holder, key.paywall

    def authenticate_header(self, request: Request) -> str:
        """The value of WWW-Authenticate with a 401."""
        return "Bearer"


def _is_audited(request: Request) -> bool:
    """Unless the view says `audited = False`: it only computes, or takes what is metered."""
    match = request._request.resolver_match
    return getattr(getattr(match and match.func, "cls", None), "audited", True)


def _token_user(request: Request, key: PaywallKey) -> str | None:
    """The user whom a verified token names. From here on the page that asks may read the answer."""
    publishable, rules = key.kind == PaywallKey.Kind.PUBLISHABLE, CallerRules.of(key.paywall)
    origin, token = (request.headers.get(name, "").strip() for name in ("Origin", usertokens.HEADER))
    if publishable and rules.may_read(origin):
        request._request.readable_from = origin  # type: ignore[attr-defined]
    issuer = rules.token_to_check(publishable, origin, token)
    return usertokens.user_of_blocking(token, issuer) if issuer else None


class KeyMayCall(BasePermission):
    """A secret key may call everything; a publishable one only views that say `for_end_users = True`.

    Such a view reads, and takes its user from `PaywallView.user_ref`.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raises SecretKeyRequired."""
        holder = request.user
        publishable = isinstance(holder, KeyHolder) and holder.key.kind == PaywallKey.Kind.PUBLISHABLE
        if publishable and not (getattr(view, "for_end_users", False) and request.method in SAFE_METHODS):
            raise SecretKeyRequired
        return bool(holder and holder.is_authenticated)


class PaywallKeyScheme(OpenApiAuthenticationExtension):
    """The key in the OpenAPI document: a bearer token, or the header X-API-Key."""

    target_class = PaywallKeyAuthentication
    name = ["paywallKey", "paywallKeyHeader"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """A list means that either is enough."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """One definition for each of the two headers."""
        return [
            {"type": "http", "scheme": "bearer", "description": "A paywall key, `sk-paywalls-…`."},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A paywall key."},
        ]


class TenantKeyAuthentication(BaseAuthentication):
    """On the metering API `request.auth` becomes the Caller. Without a tenant's live key a request is refused (401)."""

    def authenticate(self, request: Request) -> tuple[TenantKeyHolder, Caller]:
        """Raises MissingTenantKey or UnknownTenantKey."""
        plain = keys.presented(request.headers.get("Authorization", ""), request.headers.get("X-API-Key", ""))
        if not plain:
            raise MissingTenantKey
        caller = tenantkeys.find(plain)
        if caller is None:
            raise UnknownTenantKey
        tenantkeys.note_use(caller.key)
        if _is_audited(request):
            audit_as(request._request, AuditEntry.Actor.TENANT_KEY, str(caller.key), caller.key.tenant_id)
        return TenantKeyHolder(caller.key), caller

    def authenticate_header(self, request: Request) -> str:
        """The value of WWW-Authenticate with a 401."""
        return "Bearer"


class TenantKeyScheme(OpenApiAuthenticationExtension):
    """The tenant's key in the OpenAPI document: a bearer token, or the header X-API-Key."""

    target_class = TenantKeyAuthentication
    name = ["tenantKey", "tenantKeyHeader"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """A list means that either is enough."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """One definition for each of the two headers."""
        return [
            {"type": "http", "scheme": "bearer", "description": "A tenant's API key, `sk-tenant-…`."},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A tenant's API key."},
        ]
