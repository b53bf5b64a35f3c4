"""The operator's own pages: the second factor, the recovery codes, the sessions."""

from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.safestring import mark_safe
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminPasswordWidget

from config.admin.account import throttle
from config.admin.account.login import VERIFIED, CodeField
from paywalls import sessions, twofactor


class ProofForm(forms.Form):
    """Whoever sits before an open session may be somebody else: the password and a code prove who it is."""

    password = forms.CharField(
        label="Your password", widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"})
    )
    code = CodeField()

    def __init__(self, request: HttpRequest, *, confirmed: bool) -> None:
        super().__init__(request.POST or None)
        self._request, self._confirmed = request, confirmed
        self.fields["code"].help_text = (
            "The six digits that your app shows, or a recovery code."
            if confirmed
            else "The six digits that your app shows now."
        )

    def clean(self) -> dict[str, Any]:
        """The code is taken last, because it can be used once only."""
        cleaned: dict[str, Any] = super().clean() or {}
        user: Any = self._request.user
        if self.errors:
            return cleaned
        if not user.check_password(cleaned["password"]):
            self.add_error("password", "This is not your password.")
        elif self._confirmed:
            try:
                twofactor.check(user, cleaned["code"])
            except twofactor.Refused as refusal:
                self.add_error("code", str(refusal))
        if self.errors:
            throttle.count_failure(self._request, user)
        return cleaned


def overview(request: HttpRequest) -> HttpResponse:
    """The state of the second factor, and where one is logged in; ends sessions."""
    user = request.user
    if request.method == "POST":
        return _ended(request, user, request.session.session_key, back="account:overview")
    factor = twofactor.factor_of(user)
    is_on = bool(factor and factor.confirmed_at)
    return _page(
        request,
        "overview",
        "Your account",
        factor=factor if is_on else None,
        codes_left=len(factor.recovery_digests) if factor and is_on else 0,
        is_required=settings.OPERATOR_2FA_REQUIRED,
        places=sessions.places(user, request.session.session_key),
    )


@sensitive_post_parameters("password", "code")
def two_factor(request: HttpRequest) -> HttpResponse:
    """Set it up, or switch it off."""
    user: Any = request.user
    if refused := _refused(request):
        return refused
    if twofactor.is_on(user):
        return _switch_off(request)
    factor = twofactor.begin(user)
    form = ProofForm(request, confirmed=False)
    if request.method == "POST" and form.is_valid():
        try:
            codes = twofactor.confirm(user, form.cleaned_data["code"])
        except twofactor.Refused as refusal:
            throttle.count_failure(request, user)
            form.add_error("code", str(refusal))
        else:
            request.session[VERIFIED] = True
            # They were opened without a code.
            sessions.end_all(user, but=request.session.session_key)
            messages.success(request, "Two-factor log-in is on. Your other sessions were ended.")
            return _page(request, "recovery_codes", "Your recovery codes", codes=codes)
    secret = twofactor.plain_secret(factor)
    picture = segno.make(twofactor.address(factor), error="m")
    return _page(
        request,
        "set_up",
        "Set up two-factor log-in",
        form=form,
        # Made of squares only: nothing of the address is in it as text.
        picture=mark_safe(picture.svg_inline(scale=5, border=4, dark="#000", light="#fff")),  # noqa: S308
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        is_required=settings.OPERATOR_2FA_REQUIRED,
    )


def _switch_off(request: HttpRequest) -> HttpResponse:
    if settings.OPERATOR_2FA_REQUIRED:
        consequence = "It is required here: right after, you set it up anew, such as on another device."
    else:
        consequence = "From then on your password alone is enough to log in."
    form = ProofForm(request, confirmed=True)
    if request.method == "POST" and form.is_valid():
        twofactor.remove(request.user)
        request.session.pop(VERIFIED, None)
        messages.success(request, "Two-factor log-in is off.")
        return redirect("account:two-factor" if settings.OPERATOR_2FA_REQUIRED else "account:overview")
    return _page(
        request,
        "proof",
        "Switch off two-factor log-in",
        form=form,
        consequence=consequence,
        button="Switch off",
    )


@sensitive_post_parameters("password", "code")
def recovery(request: HttpRequest) -> HttpResponse:
    """New recovery codes in place of the old ones."""
    if refused := _refused(request):
        return refused
    if not twofactor.is_on(request.user):
        return redirect("account:two-factor")
    form = ProofForm(request, confirmed=True)
    if request.method == "POST" and form.is_valid():
        codes = twofactor.renew_recovery_codes(request.user)
        return _page(request, "recovery_codes", "Your recovery codes", codes=codes)
    return _page(
        request,
        "proof",
        "New recovery codes",
        form=form,
        consequence="The ones you have stop working.",
        button="Make new ones",
    )


def of_member(request: HttpRequest, user: Any, back: str) -> HttpResponse:
    """Where somebody else is logged in, for who may end it; `back` is the page that led here."""
    if request.method == "POST":
        return _ended(request, user, None, back=request.path)
    return _page(
        request,
        "sessions",
        f"Sessions of {user}",
        places=sessions.places(user),
        back=back,
    )


def reset_two_factor(page: Any, request: HttpRequest, user: Any, back: str) -> HttpResponse:
    """Ask, then switch off somebody's second factor and end their sessions."""
    if request.method != "POST":
        asked = {
            "title": f"Reset two-factor log-in of {user}?",
            "consequence": "Their password alone is enough until they set it up again, and their sessions end.",
            "button": "Reset",
            "back": back,
        }
        return TemplateResponse(
            request, "admin/paywalls/confirm.html", {**admin.site.each_context(request), **asked}
        )
    told = "was switched off" if twofactor.remove(user) else "was off already"
    sessions.end_all(user, but=request.session.session_key)
    page.message_user(request, f"Two-factor log-in of {user} {told}.", messages.SUCCESS)
    return redirect(back)


def _ended(request: HttpRequest, user: Any, current: str | None, back: str) -> HttpResponse:
    """End the session that the form names, or all (but one's own)."""
    chosen = request.POST.get("end", "")
    if chosen == "all":
        count = sessions.end_all(user, but=current)
        told = "No other session was open." if not count else f"{count} ended."
    else:
        told = "The session was ended." if sessions.end(user, chosen) else "It had ended already."
    messages.success(request, told)
    return redirect(back)


def _refused(request: HttpRequest) -> HttpResponse | None:
    return throttle.refusal(request, request.user) if request.method == "POST" else None


def _page(request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
    shown = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"admin/account/{name}.html", shown)
