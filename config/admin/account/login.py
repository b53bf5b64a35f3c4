"""Logging in: the password, then the code where the operator has a second factor.

Between the two nobody is logged in: the session only remembers whose password was right, for ten minutes.
"""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView as DjangoLoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from unfold.forms import AuthenticationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from config.admin.account import throttle
from config.audited import audit_as
from paywalls import twofactor
from paywalls.models import AuditEntry

# The session's entries: that a code was given; whose password was right.
VERIFIED = "second_factor"
_HALFWAY = "halfway_in"
_TIME_FOR_CODE = timedelta(minutes=10)
_BACKEND = "config.admin.backend.OperatorBackend"


class CodeField(forms.CharField):
    """A code of the app, or a recovery code."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code", "autocapitalize": "none"})
        super().__init__(**{"max_length": 32, "label": "Code", "widget": widget, **options})


class CodeForm(forms.Form):
    code = CodeField(help_text="The six digits that your app shows, or a recovery code.")


class LoginView(DjangoLoginView):
    """The first step: name and password."""

    form_class = AuthenticationForm
    template_name = "admin/login.html"
    redirect_authenticated_user = True
    next_page = "admin:index"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # Who is logged in as somebody else than an operator sees the form.
        self.redirect_authenticated_user = admin.site.has_permission(request)
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        if not twofactor.is_on(user):
            return _enter(self.request, user, self.get_success_url(), verified=False)
        self.request.session.cycle_key()
        self.request.session[_HALFWAY] = {
            "user": user.pk,
            "hash": user.get_session_auth_hash(),
            "until": (timezone.now() + _TIME_FOR_CODE).isoformat(),
            "next": self.get_success_url(),
        }
        return redirect("account:code")

    def get_context_data(self, **options: Any) -> dict[str, Any]:
        context = super().get_context_data(**options)
        return {
            **context,
            **admin.site.each_context(self.request),
            "title": "Log in",
            "app_path": self.request.get_full_path(),
            "username": self.request.user.get_username(),
        }


@never_cache
@csrf_protect
def ask_code(request: HttpRequest) -> HttpResponse:
    """The second step: the code."""
    user = _halfway(request)
    if user is None:
        return redirect("admin:login")
    form = CodeForm(request.POST or None)
    if request.method == "POST":
        if refused := throttle.refusal(request, user):
            return refused
        if form.is_valid():
            try:
                twofactor.check(user, form.cleaned_data["code"])
            except twofactor.Refused as refusal:
                throttle.count_failure(request, user)
                form.add_error("code", str(refusal))
            else:
                place = request.session.pop(_HALFWAY)["next"]
                return _enter(request, user, place, verified=True)
    context = {**admin.site.each_context(request), "title": "Two-factor log-in", "form": form}
    return render(request, "admin/account/code.html", context)


def _enter(request: HttpRequest, user: User, place: str, *, verified: bool) -> HttpResponse:
    """Log in; the log-in is in the audit log."""
    login(request, user, backend=_BACKEND)
    if verified:
        request.session[VERIFIED] = True
    audit_as(request, AuditEntry.Actor.OPERATOR, user.get_username())
    is_ours = url_has_allowed_host_and_scheme(place, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(place if is_ours else reverse(settings.LOGIN_REDIRECT_URL))


def _halfway(request: HttpRequest) -> User | None:
    """Whose password was right a moment ago, and still is."""
    known: dict[str, Any] = request.session.get(_HALFWAY) or {}
    if not known or datetime.fromisoformat(known["until"]) < timezone.now():
        return None
    user = User.objects.filter(pk=known["user"], is_active=True, is_staff=True).first()
    return user if user and constant_time_compare(known["hash"], user.get_session_auth_hash()) else None
