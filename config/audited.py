"""Middleware that tells the audit log who writes: operators by their session, keys by `audit_as`."""

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from paywalls import audit
from paywalls.audit import Actor
from paywalls.models import AuditEntry
from paywalls.operators import access_of

_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
# What of a form says what was done, where no audited row tells it.
_SHOWN = ("action", "_selected_action", "end")


class AuditMiddleware(MiddlewareMixin):
    """Every write of an operator is logged with its actor; one that wrote no audited row, by its address."""

    def process_request(self, request: HttpRequest) -> None:
        user = request.user
        if request.method not in _SAFE and user.is_authenticated and user.is_staff:
            audit_as(request, AuditEntry.Actor.OPERATOR, user.get_username())

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        actor: Actor | None = getattr(request, "audit_actor", None)
        if actor is None:
            return response
        written = audit.end()
        if not written and _did_something(actor, response):
            shown: dict[str, Any] = {
                name: request.POST.getlist(name)[:100] for name in _SHOWN if name in request.POST
            }
            audit.record_request(_in_tenant(actor, request), request.method or "", request.path, shown)
        return response


def audit_as(request: HttpRequest, kind: AuditEntry.Actor, name: str, tenant: Any = None) -> None:
    """What this request writes from now on is theirs; reads are nobody's."""
    if request.method in _SAFE:
        return
    actor = Actor(
        kind, name, request.META.get("REMOTE_ADDR") or "", getattr(request, "request_id", None), tenant
    )
    request.audit_actor = actor  # type: ignore[attr-defined]
    audit.begin(actor)


def _in_tenant(actor: Actor, request: HttpRequest) -> Actor:
    """Who works for one tenant only does what they do there."""
    if actor.type != AuditEntry.Actor.OPERATOR or actor.tenant:
        return actor
    tenants = access_of(request.user).tenants()
    return replace(actor, tenant=tenants[0]) if len(tenants) == 1 else actor


def _did_something(actor: Actor, response: HttpResponseBase) -> bool:
    """A form of the site that was carried out leads on; one that is shown again, or asks, doesn't."""
    if actor.type == AuditEntry.Actor.OPERATOR:
        return 300 <= response.status_code < 400
    return response.status_code < 300
