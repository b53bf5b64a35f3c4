"""The strip at the head of a paywall's page: whether it serves, fails, tells and takes money."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.timezone import localtime

from config.admin.columns import anchor, list_of, page_of
from ledger.models import ProxyRequest
from ledger.payments import accounts
from paywalls.models import Paywall
from webhooks.models import Subscription

_FAULTS = (ProxyRequest.Status.FAILED, ProxyRequest.Status.LOST)


def of_paywall(paywall: Paywall) -> list[tuple[str, str]]:
    """(name, what is shown) of each sign of health. Four look-ups by index."""
    return [
        ("Last request", _last_request(paywall)),
        ("Failed in the last hour", _faults(paywall)),
        ("Webhook endpoints", _webhooks(paywall)),
        ("Stripe", _stripe(paywall)),
    ]


def _last_request(paywall: Paywall) -> str:
    last = ProxyRequest.objects.filter(paywall=paywall).order_by("-created_at").first()
    if last is None:
        return "none yet"
    when = f"{localtime(last.created_at):%Y-%m-%d %H:%M}"
    return format_html("{} ({})", anchor(page_of(last), when), last.get_status_display().lower())


def _faults(paywall: Paywall) -> str:
    since = timezone.now() - timedelta(hours=1)
    count = ProxyRequest.objects.filter(paywall=paywall, status__in=_FAULTS, created_at__gte=since).count()
    if not count:
        return "0"
    failed = list_of(
        ProxyRequest, paywall__id__exact=paywall.pk, status__exact=ProxyRequest.Status.FAILED.value
    )
    return format_html('<span class="below-zero money">{}</span>', anchor(failed, f"{count:,}"))


def _webhooks(paywall: Paywall) -> str:
    mine: Any = Subscription.objects.filter(paywall=paywall)
    active = mine.filter(is_active=True).count()
    failing = mine.filter(is_active=True, failing_since__isnull=False).count()
    if not mine.exists():
        return "none"
    words = f"{failing} of {active} failing" if failing else f"{active} active"
    return anchor(list_of(Subscription, q=paywall.public_id), words)


def _stripe(paywall: Paywall) -> str:
    account = accounts.account_for(paywall)
    if account is None:
        return "not connected"
    words = "live" if account.livemode else "test mode"
    return anchor(page_of(account), words)
