"""Signing in: an address, then the code that was mailed to it. Both pages say the same to everybody."""

import logging
import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from config.pages import hosted
from ledger import services
from paywalls import rules, signin
from paywalls.errors import InvalidSetting
from paywalls.models import WalletUser
from paywalls.pages import session

log = logging.getLogger("tollgate.wallets")

_KEY = "wallet_sign_in"


@hosted
@require_http_methods(["GET", "HEAD", "POST"])
def email(request: HttpRequest) -> HttpResponse:
    """Ask for an address, and mail it a code."""
    if request.method != "POST":
        return _email_form(request, session.place(request.GET.get("next", "")))
    following, typed = session.place(request.POST.get("next", "")), request.POST.get("email", "")
    try:
        address = rules.email(typed)
    except InvalidSetting:
        error = _("Enter an e-mail address such as ann@example.com.")
        return _email_form(request, following, typed, error, 422)
    try:
        asked = signin.make_code(address, request.META.get("REMOTE_ADDR") or None)
    except signin.TooManyCodes:
        error = _("Too many codes were sent. Try again in an hour.")
        return _email_form(request, following, typed, error, 429)
    try:
        signin.mail_code(asked)
    except OSError:
        log.exception("a sign-in code could not be mailed")
        return _email_form(request, following, typed, _("The code could not be sent. Try again later."), 503)
    request.session[_KEY] = {"id": asked.id.hex, "email": address, "next": following}
    if settings.SANDBOX_MAIL and not settings.PRODUCTION:
        request.session[_KEY]["shown"] = asked.plain
    return HttpResponseRedirect(reverse("wallet-code"))


@hosted
@require_http_methods(["GET", "HEAD", "POST"])
def code(request: HttpRequest) -> HttpResponse:
    """Take the code, and sign in who has it."""
    asked = request.session.get(_KEY)
    if not asked:
        return HttpResponseRedirect(reverse("wallet-sign-in"))
    if request.method != "POST":
        return _code_form(request, asked)
    typed = "".join(request.POST.get("code", "").split())
    try:
        user = signin.check_code(uuid.UUID(asked["id"]), typed)
    except signin.WrongCode as wrong:
        left = ngettext("One try is left.", "%(left)s tries are left.", wrong.left) % {"left": wrong.left}
        return _code_form(request, asked, _("This is not the code.") + " " + left)
    except signin.CodeIsOver:
        return _code_form(request, asked, _("This code can't be used any more. Ask for a new one."))
    services.ensure_user(signin.wallet_ref(user))
    del request.session[_KEY]
    session.sign_in(request, user)
    return HttpResponseRedirect(asked["next"])


@hosted
@require_POST
def out(request: HttpRequest) -> HttpResponse:
    """Sign out of this browser."""
    session.sign_out(request)
    return HttpResponseRedirect(reverse("wallet-sign-in"))


@hosted
@require_POST
@session.for_wallet_users
def out_everywhere(request: HttpRequest, user: WalletUser) -> HttpResponse:
    """Sign out of every browser."""
    signin.sign_out_everywhere(user)
    session.sign_out(request)
    return HttpResponseRedirect(reverse("wallet-sign-in"))


def _email_form(
    request: HttpRequest, following: str, typed: str = "", error: str = "", status: int = 200
) -> HttpResponse:
    context = {"next": following, "email": typed, "error": error}
    return render(request, "wallet/sign_in.html", context, status=status)


def _code_form(request: HttpRequest, asked: dict[str, str], error: str = "") -> HttpResponse:
    context = {"email": asked["email"], "shown": asked.get("shown"), "next": asked["next"], "error": error}
    return render(request, "wallet/code.html", context, status=422 if error else 200)
