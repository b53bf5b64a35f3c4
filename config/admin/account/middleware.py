"""Middleware of the operators' site: the second factor where it is required, sessions, and what its pages may load."""

from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.deprecation import MiddlewareMixin

from config.admin.account.login import VERIFIED
from paywalls import sessions, twofactor

_SITE = "/admin/"
# What somebody without a second factor gets to, where it is required.
_OPEN = {
    "account:two-factor",
    "account:recovery",
    "account:login",
    "account:code",
    "admin:logout",
    "admin:jsi18n",
}

# No inline script runs, so that what somebody got into a page doesn't. The theme's Alpine.js makes functions of its
# attributes ('unsafe-eval'), and the theme sets its colors by a style of the page. Pictures: icons of paywalls.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: https:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


class OperatorMiddleware(MiddlewareMixin):
    """For requests of operators to their site."""

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Where the second factor is required, who has none is led to where it is set up."""
        if not settings.OPERATOR_2FA_REQUIRED or not _is_operators(request):
            return None
        match = request.resolver_match
        if request.session.get(VERIFIED) or (match and match.view_name in _OPEN):
            return None
        # A session from before it was set up elsewhere: it never gave a code.
        if twofactor.is_on(request.user):
            logout(request)
            return redirect("admin:login")
        return redirect("account:two-factor")

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if _is_operators(request):
            sessions.touch(request)
        if request.path.startswith(_SITE):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


def _is_operators(request: HttpRequest) -> bool:
    if not request.path.startswith(_SITE) or not hasattr(request, "user"):
        return False
    return bool(request.user.is_authenticated and request.user.is_staff)
