"""Pages that show a link of one end user, to be copied to them."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from config.admin.columns import page_of
from ledger import topups
from ledger.errors import Contention, Refusal
from paywalls import connections
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef


def topup(page: ModelAdmin, request: HttpRequest, user: EndUser) -> HttpResponse:
    """Where the user adds money."""
    return _show(
        page,
        request,
        user,
        f"Top-up link of {user}",
        "Whoever opens it can add money to this balance, and do nothing else. It ends by itself.",
        topups.link_of,
    )


def connect(page: ModelAdmin, request: HttpRequest, user: EndUser) -> HttpResponse:
    """Where the user connects their wallet, in shared mode."""
    ref = UserRef(user.paywall_id, user.external_id)
    if user.paywall.mode != Paywall.Mode.SHARED or connections.live(ref):
        shared = user.paywall.mode == Paywall.Mode.SHARED
        told = (
            "The user is connected already." if shared else "Only users of shared paywalls connect a wallet."
        )
        page.message_user(request, told, messages.INFO)
        return redirect(page_of(user))
    return _show(
        page,
        request,
        user,
        f"Connect link of {user}",
        "Whoever opens it and signs in lets this end user spend from their wallet. Send it to that person only.",
        connections.link_for,
    )


def _show(
    page: ModelAdmin,
    request: HttpRequest,
    user: EndUser,
    title: str,
    consequence: str,
    make: Callable[[UserRef], str],
) -> HttpResponse:
    """A link is made by a POST: a page that is only looked at changes nothing."""
    url = ""
    if request.method == "POST":
        try:
            url = make(UserRef(user.paywall_id, user.external_id))
        except (Refusal, Contention) as refusal:
            page.message_user(request, f"There is no link: {refusal}.", messages.ERROR)
            return redirect(page_of(user))
        page.log_change(request, user, f"{title} was made.")
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": title,
        "consequence": consequence,
        "url": url,
        "back": page_of(user),
    }
    return TemplateResponse(request, "admin/paywalls/link.html", context)
