"""Endpoints that failed for days: deactivated, the operator alerted, the tenant written to."""

import logging

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection
from django.utils import timezone

from webhooks.models import Subscription

log = logging.getLogger("tollgate.webhooks")

_FAILED = "no delivery succeeded since"

_MAIL = """\
Your webhook endpoint has answered no event with success since {since:%Y-%m-%d %H:%M} UTC, so we have stopped
sending to it:

    {url}
    subscription {id} of the paywall {paywall}

The last error was: {error}

Once it is back, switch it on again (PATCH /v1/webhooks/subscriptions/{id} with {{"isActive": true}}), and let us
send what it missed (POST /v1/webhooks/subscriptions/{id}/replay).
"""


def give_up(endpoint: Subscription) -> bool:
    """Deactivate an endpoint; whether it was active until now. Call it outside of transactions: it writes a mail."""
    since = endpoint.failing_since
    reason = f"{_FAILED} {since:%Y-%m-%d %H:%M} UTC"
    stopped = Subscription.objects.filter(pk=endpoint.pk, is_active=True).update(
        is_active=False, disabled_reason=reason, updated_at=timezone.now()
    )
    if not stopped:
        return False
    log.error("webhook endpoint deactivated: %s %s (%s)", endpoint.public_id, endpoint.url, reason)
    try:
        _write_to_tenant(endpoint)
    except Exception:
        log.exception("the tenant of %s could not be written to", endpoint.public_id)
    return True


def given_up() -> list[str]:
    """A line for each endpoint that is inactive because it failed, the latest first (at most 20)."""
    rows = Subscription.objects.filter(is_active=False, disabled_reason__startswith=_FAILED)
    return [f"{row.public_id} {row.url}: {row.disabled_reason}" for row in rows.order_by("-updated_at")[:20]]


def by_operator(endpoint: Subscription) -> None:
    """Deactivate an endpoint because an operator says so; its owner sees why."""
    Subscription.objects.filter(pk=endpoint.pk).update(
        is_active=False, disabled_reason="deactivated by the operator"
    )


def _write_to_tenant(endpoint: Subscription) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT t.email, p.name,
                (SELECT d.error FROM webhooks_delivery d WHERE d.subscription_id = %(id)s AND d.error <> ''
                 ORDER BY d.id DESC LIMIT 1)
            FROM paywalls_paywall p JOIN paywalls_tenant t ON t.id = p.tenant_id WHERE p.id = %(paywall)s
            """,
            {"id": endpoint.pk, "paywall": endpoint.paywall_id},
        )
        email, paywall, error = cursor.fetchone()
    text = _MAIL.format(
        since=endpoint.failing_since, url=endpoint.url, id=endpoint.public_id, paywall=paywall, error=error
    )
    send_mail(f"Webhook endpoint of {paywall} deactivated", text, settings.DEFAULT_FROM_EMAIL, [email])
