"""The page behind a link that asks to connect an end user: who asks, for what; approve or decline."""

from http import HTTPStatus
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from config.pages import HEADERS, hosted, problem
from ledger import queries, services
from paywalls import connections, signin
from paywalls.models import AuthorizationRequest, Paywall, WalletUser
from paywalls.pages import session
from paywalls.pages.amounts import InvalidLimit, limit

MAX_REASON = 500


@hosted
@require_http_methods(["GET", "HEAD", "POST"])
def connect(request: HttpRequest, token: str) -> HttpResponse:
    """Show the request, or take its answer."""
    try:
        asked = connections.open_request(token)
    except connections.UnknownRequest:
        text = _(
            "Check that it is complete. Go back to your chat and send your message again: "
            "it will answer with a new link."
        )
        return problem(_("This link doesn't work"), text, HTTPStatus.NOT_FOUND)
    if not connections.is_open(asked):
        return _over()
    user = session.signed_in(request)
    if request.method != "POST":
        return _page(request, asked, user)
    try:
        if request.POST.get("answer") == "decline":
            connections.decline(asked, user, request.POST.get("reason", "").strip()[:MAX_REASON])
            return _done(request, asked, "wallet/declined.html")
        if user is None:
            return _page(request, asked, user)
        return _approve(request, asked, user)
    except connections.RequestIsOver:
        return _over()
    except connections.AlreadyConnected:
        text = _("Go back to your chat: it can go on.")
        return problem(_("Already connected"), text, HTTPStatus.CONFLICT)


def _approve(request: HttpRequest, asked: AuthorizationRequest, user: WalletUser) -> HttpResponse:
    typed = request.POST.get("limit", "")
    try:
        month_limit = limit(typed)
    except InvalidLimit as error:
        return _page(request, asked, user, typed, str(error), 422)
    services.ensure_user(signin.wallet_ref(user))
    connections.approve(asked, user, month_limit)
    available = queries.balance_of(signin.wallet_ref(user)).available
    return _done(request, asked, "wallet/connected.html", available=available)


def _page(
    request: HttpRequest,
    asked: AuthorizationRequest,
    user: WalletUser | None,
    typed: str = "",
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    available = queries.balance_of(signin.wallet_ref(user)).available if user else None
    context = {
        "external_id": asked.user.external_id,
        "person": user,
        "available": available,
        "limit": typed,
        "error": error,
        "max_reason": MAX_REASON,
        "here": request.path,
    }
    return _done(request, asked, "wallet/connect.html", status=status, **context)


def _done(
    request: HttpRequest, asked: AuthorizationRequest, template: str, status: int = 200, **context: object
) -> HttpResponse:
    paywall = asked.user.paywall
    answer = render(
        request, template, {"paywall": paywall, "initial": paywall.name[:1], **context}, status=status
    )
    if paywall.icon_url:
        answer["Content-Security-Policy"] = _with_picture(paywall)
    return answer


def _with_picture(paywall: Paywall) -> str:
    """The strict policy, but for pictures from the one host of the paywall's."""
    host = f"https://{urlsplit(paywall.icon_url).netloc}"
    return HEADERS["Content-Security-Policy"].replace("img-src 'self'", f"img-src 'self' {host}")


def _over() -> HttpResponse:
    text = _(
        "It was answered before, or its time is over. Go back to your chat and send your message again: "
        "it will answer with a new link if one is needed."
    )
    return problem(_("This link can't be used any more"), text, HTTPStatus.GONE)
