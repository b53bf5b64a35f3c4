"""The playground: a chat page for whoever has its link. What it says goes to `proxy/playground.py`."""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from config import ids
from config.errors import ApiError
from config.localized import dollars
from config.localized import shown as money
from config.pages import hosted, problem, with_scripts
from ledger import queries
from ledger.models import ProxyRequest
from paywalls import connections, playgrounds, pricing
from paywalls.limits import limits_of
from paywalls.models import EndUser, Paywall, PaywallModel
from paywalls.surfaces import CHAT
from paywalls.users import UserRef

LINK_HEADER = "X-Playground-Link"


@hosted
@require_http_methods(["GET", "HEAD"])
def playground(request: HttpRequest, token: str) -> HttpResponse:
    """The page. Who was never here becomes an end user of their own, remembered by a signed cookie."""
    try:
        paywall = playgrounds.Link.of_token(token).open().paywall
    except playgrounds.UnknownPlayground:
        text = _("Check that the link is complete.")
        return problem(_("There is no such playground"), text, HTTPStatus.NOT_FOUND)
    except playgrounds.PlaygroundClosed:
        text = _("Its link was replaced or switched off. Ask whoever gave it to you for a new one.")
        return problem(_("This playground is closed"), text, HTTPStatus.GONE)
    visitor = _visitor(request) or playgrounds.new_visitor()
    user = UserRef(paywall.pk, playgrounds.external_id(paywall.pk, visitor))
    if _is_blocked(user):
        text = _("Ask its support if you think that this is a mistake.")
        title = _("Your access to %(name)s is blocked") % {"name": paywall.name}
        return problem(title, text, HTTPStatus.FORBIDDEN)
    context = {
        "paywall": paywall,
        "token": token,
        "models": _models(paywall),
        "words": _words(),
        # What an operator's curl names.
        "user": user.external_id if _operates(request, paywall) else "",
        "api": f"{settings.PUBLIC_URL}/v1",
    }
    response = with_scripts(render(request, "playground/playground.html", context))
    response.set_cookie(
        playgrounds.COOKIE,
        playgrounds.cookie_of(visitor),
        max_age=playgrounds.COOKIE_AGE,
        path=playgrounds.COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@hosted
@require_GET
def account(request: HttpRequest) -> JsonResponse:
    """The visitor's balance, and what one of their requests (`?request=req_…`) cost, once that is known."""
    try:
        paywall = playgrounds.Link.of_token(request.headers.get(LINK_HEADER, "")).open().paywall
    except ApiError as error:
        return JsonResponse(error.body(), status=error.status)
    visitor = _visitor(request)
    if visitor is None:
        return JsonResponse({"balance": None, "connected": None, "request": None})
    user = UserRef(paywall.pk, playgrounds.external_id(paywall.pk, visitor))
    connected = None if paywall.mode == Paywall.Mode.DEFAULT else connections.live(user) is not None
    balance = None if connected is False else money(queries.balance_of(user).available)
    told = _request(user, request.GET.get("request", ""))
    return JsonResponse({"balance": balance, "connected": connected, "request": told})


def _visitor(request: HttpRequest) -> str | None:
    return playgrounds.visitor_in(request.COOKIES.get(playgrounds.COOKIE, ""))


def _is_blocked(user: UserRef) -> bool:
    return EndUser.objects.filter(
        paywall_id=user.paywall_id, external_id=user.external_id, blocked_at__isnull=False
    ).exists()


def _operates(request: HttpRequest, paywall: Paywall) -> bool:
    """Whether it is somebody who sees this paywall on the operators' site."""
    page = admin.site.get_model_admin(Paywall)
    return (
        admin.site.has_permission(request)
        and page.has_view_permission(request)
        and page.get_queryset(request).filter(pk=paywall.pk).exists()
    )


def _models(paywall: Paywall) -> list[dict[str, str]]:
    """What can be chatted with, and its price in words."""
    limits = limits_of(paywall)
    markup = int(paywall.markup_percent * 10_000)
    return [
        {
            "id": row.model_id,
            "name": row.display_name or row.model_id,
            "description": row.description,
            "price": _price(row, markup),
        }
        for row in paywall.models.select_related("provider")
        .prefetch_related("routes__provider")
        .order_by("id")
        if limits.allows(row.model_id) and _chats(row)
    ]


def _chats(row: PaywallModel) -> bool:
    return any(
        CHAT in provider.speaks for provider in (row.provider, *(r.provider for r in row.routes.all()))
    )


def _price(row: PaywallModel, markup: int) -> str:
    told = pricing.selling(row.price(markup))
    amounts = {name: dollars(told[name]) for name in ("prompt", "completion", "request", "minimum")}
    parts = []
    if told["prompt"] != "0" or told["completion"] != "0":
        parts.append(_("%(prompt)s per million tokens in, %(completion)s out") % amounts)
    if told["request"] != "0":
        parts.append(_("%(request)s a request") % amounts)
    if told["minimum"] != "0":
        parts.append(_("at least %(minimum)s") % amounts)
    return "; ".join(parts) or _("free")


def _request(user: UserRef, public_id: str) -> dict[str, Any] | None:
    try:
        key = ids.parse("request", public_id)
    except ValueError:
        return None
    mine = ProxyRequest.objects.filter(paywall_id=user.paywall_id, external_id=user.external_id)
    row = mine.exclude(status=ProxyRequest.Status.STARTED).filter(pk=key).first()
    if row is None:
        return None
    return {
        "cost": money(row.charge),
        "tokens": _("%(input)s tokens in, %(output)s out")
        % {
            "input": row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
            "output": row.output_tokens,
        },
    }


def _words() -> dict[str, str]:
    """What the script says."""
    return {
        "you": _("You"),
        "paywall": _("Paywall"),
        "notCharged": _("This is the paywall's answer, not the model's. Nothing was charged."),
        "error": _("That didn't work"),
        "again": _("Try again"),
        "answering": _("Answering …"),
        "stopped": _("Stopped."),
        "brokeOff": _("The answer broke off."),
        "away": _("The server can't be reached. Check your connection and try again."),
        "cost": _("This answer cost %(cost)s"),
        "balance": _("Balance: %(balance)s"),
        "notConnected": _("No wallet connected yet"),
        "copied": _("Copied"),
    }
