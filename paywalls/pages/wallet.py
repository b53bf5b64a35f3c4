"""The wallet: its balance, what was paid where, connections, and the ways out."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from config.db import from_threads
from config.pages import hosted, problem
from ledger import queries, topups, wallet_activity
from paywalls import connections, signin
from paywalls.models import Connection, WalletUser
from paywalls.pages import session
from paywalls.pages.amounts import InvalidLimit, limit

SHOWN = 25


@hosted
@require_http_methods(["GET", "HEAD"])
@session.for_wallet_users
def wallet(request: HttpRequest, user: WalletUser) -> HttpResponse:
    """Everything on one page; `?before=` shows older activity."""
    before = request.GET.get("before", "")
    activity, older = wallet_activity.page(user, SHOWN, int(before) if before.isdecimal() else None)
    context = {
        "person": user,
        "available": queries.balance_of(signin.wallet_ref(user)).available,
        "connections": Connection.objects.filter(wallet_user=user, ended_at=None)
        .select_related("paywall", "user")
        .order_by("-created_at"),
        "activity": activity,
        "older": older,
        "is_first": not before,
    }
    return render(request, "wallet/wallet.html", context)


@hosted
@require_POST
@session.for_wallet_users
def topup(request: HttpRequest, user: WalletUser) -> HttpResponse:
    """To the page that adds money."""
    return HttpResponseRedirect(topups.link_for(user.user))


@hosted
@require_POST
@session.for_wallet_users
def change_connection(request: HttpRequest, user: WalletUser, key: uuid.UUID) -> HttpResponse:
    """Change a connection's limit, or end it."""
    mine = Connection.objects.filter(wallet_user=user, ended_at=None)
    connection = mine.select_related("user__paywall").filter(pk=key).first()
    if connection is None:
        text = _("It was ended before.")
        return problem(_("There is no such connection"), text, 404)  # type: ignore[arg-type]
    name = connection.user.paywall.name
    if request.POST.get("action") == "end":
        connections.end(connection)
        messages.success(request, _("%(name)s is disconnected.") % {"name": name})
    else:
        try:
            connections.set_limit(connection, limit(request.POST.get("limit", "")))
            messages.success(request, _("The limit of %(name)s is changed.") % {"name": name})
        except InvalidLimit as error:
            messages.error(request, str(error))
    return HttpResponseRedirect(reverse("wallet"))


@hosted
@require_GET
@session.for_wallet_users
def export(request: HttpRequest, user: WalletUser) -> StreamingHttpResponse:
    """All activity as CSV."""
    return StreamingHttpResponse(
        from_threads(wallet_activity.csv_chunks(user)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="wallet.csv"'},
    )
