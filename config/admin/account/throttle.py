"""Log-ins that fail too often from one address: what django-axes counts by, and the page that it shows then."""

import ipaddress
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_lockout_response
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from paywalls import audit
from paywalls.audit import Actor
from paywalls.models import AuditEntry
from paywalls.operators import access_of

LOCKED_OUT = "locked out"


def client_address(request: HttpRequest) -> str:
    """The address that failures are counted by. Of an IPv6 address its network: one client has all of a /64."""
    address = request.META.get("REMOTE_ADDR") or "0.0.0.0"  # noqa: S104  (no listener: what is not known)
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "0.0.0.0"  # noqa: S104
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network(f"{parsed}/64", strict=False).network_address)
    return str(parsed)


def locked_out(request: HttpRequest, credentials: Any = None, *_: Any) -> HttpResponse:
    """The page in place of the log-in, with the time to wait."""
    minutes = settings.LOGIN_LOCKOUT_MINUTES
    context = {**admin.site.each_context(request), "title": "Too many failed log-ins", "minutes": minutes}
    answer = render(request, "admin/account/locked_out.html", context, status=429)
    answer["Retry-After"] = str(minutes * 60)
    return answer


def refusal(request: HttpRequest, user: Any) -> HttpResponse | None:
    """The page of the lock-out, where no try is taken from the address any more."""
    credentials = {"username": user.get_username()}
    if AxesProxyHandler.is_allowed(request, credentials):
        return None
    refused: HttpResponse = get_lockout_response(request, None, credentials)
    return refused


def count_failure(request: HttpRequest, user: Any) -> None:
    """A wrong code counts like a wrong password."""
    user_login_failed.send(sender=__name__, credentials={"username": user.get_username()}, request=request)


@receiver(user_locked_out)
def log_lockout(sender: Any, request: HttpRequest, username: str, ip_address: str, **rest: Any) -> None:
    """Once a lock-out, however often it is tried."""
    known = AuditEntry.objects.filter(
        subject=request.path,
        subject_type=LOCKED_OUT,
        address=ip_address,
        created_at__gt=timezone.now() - settings.AXES_COOLOFF_TIME,
    )
    if known.exists():
        return
    user = User.objects.filter(username=username, is_staff=True).first()
    tenants = access_of(user).tenants() if user and not user.is_superuser else []
    tenant = tenants[0] if len(tenants) == 1 else None
    actor = Actor(AuditEntry.Actor.OPERATOR, username or "", ip_address, None, tenant)
    audit.record_request(actor, LOCKED_OUT, request.path, {"minutes": settings.LOGIN_LOCKOUT_MINUTES})
