"""The first page's context: django-unfold asks for it (`DASHBOARD_CALLBACK`)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from unfold.utils import parse_date_str

from config.admin.columns import list_of
from config.admin.paging import CEILING
from ledger.admin import scope
from ledger.admin.overview import figures, start
from ledger.analytics.overview import Period, overview, period
from ledger.analytics.payers import payers
from ledger.models import OperatorAlert, ReconciliationItem
from paywalls.models import Paywall
from webhooks.models import Subscription

RANGES = ((1, "Today"), (7, "7 days"), (30, "30 days"), (90, "90 days"))
DEFAULT_DAYS = 30


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds what is still to do, what needs a look, and the figures, as far as the operator may see them."""
    context |= {
        "title": "Overview",
        "start": start.steps(request),
        "attention": _attention(request),
    }
    if not _may_see_figures(request):
        return context
    now = datetime.now(UTC)
    asked = _asked(request, now)
    paywalls = scope.paywalls(request)
    chosen = _chosen(request, paywalls)
    found = overview(scope.tenants(request), asked, [chosen.pk] if chosen else [])
    return context | {
        "period": asked,
        "ranges": _ranges(asked, chosen, now.date()),
        "paywalls": paywalls,
        "chosen": chosen,
        "cards": figures.cards(found),
        "charts": figures.charts(found),
        "payers": f"{reverse('operators:payers')}?{_query(asked, chosen)}",
        "before": _said(asked),
    }


def payers_part(request: HttpRequest) -> HttpResponse:
    """Who paid: a part of the first page, which it asks for by itself, since it reads a row for each user and month."""
    if not _may_see_figures(request):
        raise PermissionDenied
    chosen = _chosen(request, scope.paywalls(request))
    asked = _asked(request, datetime.now(UTC))
    found = payers(scope.tenants(request), asked, chosen.pk if chosen else None)
    parts = {"card": figures.payers_card(found), "chart": figures.payers_chart(found)}
    return render(request, "admin/overview/payers.html", parts)


def _may_see_figures(request: HttpRequest) -> bool:
    return request.user.has_perm("ledger.view_transfer")


def _asked(request: HttpRequest, now: datetime) -> Period:
    """The days of `from` and `to`, or the last `days`; what can't be read is the default."""
    today = now.date()
    first, last = (_day(request.GET.get(name, "")) for name in ("from", "to"))
    if first or last:
        last = last or today
        return period(first or last - timedelta(days=DEFAULT_DAYS - 1), last, now)
    days = request.GET.get("days", "")
    count = int(days) if days in {str(number) for number, _ in RANGES} else DEFAULT_DAYS
    return period(today - timedelta(days=count - 1), today, now)


def _day(text: str) -> date | None:
    day: date | None = parse_date_str(text)
    return day


def _chosen(request: HttpRequest, paywalls: list[Paywall]) -> Paywall | None:
    asked = request.GET.get("paywall", "")
    return next((paywall for paywall in paywalls if paywall.public_id == asked), None)


def _ranges(asked: Period, chosen: Paywall | None, today: date) -> list[tuple[str, str, bool]]:
    """(title, address, whether it is the one shown) of the usual ranges."""
    kept = {"paywall": chosen.public_id} if chosen else {}
    return [
        (title, f"?{urlencode({'days': days, **kept})}", asked.last == today and asked.days == days)
        for days, title in RANGES
    ]


def _query(asked: Period, chosen: Paywall | None) -> str:
    """The same period and paywall, for another page."""
    return urlencode({"from": asked.first, "to": asked.last, "paywall": chosen.public_id if chosen else ""})


def _said(asked: Period) -> str:
    """The period that the figures stand beside."""
    since, until = asked.before
    last = until - timedelta(microseconds=1)
    days = f"{since:%b} {since.day}" if asked.days == 1 else f"{since:%b} {since.day} to {last:%b} {last.day}"
    return days if until.hour == 0 else f"{days}, {until:%H:%M} UTC"


def _attention(request: HttpRequest) -> list[tuple[str, str]]:
    """(what, where) of what somebody has to look at."""
    found = [
        (
            scope.rows(request, OperatorAlert).filter(resolved_at=None),
            "open alert",
            list_of(OperatorAlert, resolved="no"),
        ),
        (
            scope.rows(request, ReconciliationItem).filter(state=ReconciliationItem.State.OPEN),
            "lost request",
            list_of(ReconciliationItem, state__exact="open"),
        ),
        (
            scope.rows(request, Subscription).filter(is_active=True, failing_since__isnull=False),
            "failing webhook",
            list_of(Subscription, state="failing"),
        ),
    ]
    told = []
    for rows, what, address in found:
        if count := rows.order_by()[:CEILING].count():
            told.append((f"{count:,} {what}{'' if count == 1 else 's'}", address))
    return told
