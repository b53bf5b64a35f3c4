"""What every hosted page shares: strict headers, and pages for what went wrong (JSON under /v1)."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from config.errors import error_body, is_metering, tenant_error_body

API_PREFIX = "/v1/"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    # The URL may hold a token, so no other site learns it. With "no-referrer" a browser would also blank the
    # Origin of the page's own form, and the CSRF check refuse it.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}

# For a page with a script of our own, which may ask us only.
_SCRIPTS = "script-src 'self'; connect-src 'self'"

P = ParamSpec("P")
Answer = TypeVar("Answer", bound=HttpResponseBase)


def hosted(
    view: Callable[Concatenate[HttpRequest, P], Answer],
) -> Callable[Concatenate[HttpRequest, P], Answer]:
    """A view in the browser's language, whose every answer has the strict headers.

    No scripts (see `with_scripts`), frames, cache or index. A view may set a Content-Security-Policy of its own.
    """

    @wraps(view)
    def strict(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> Answer:
        # Not by middleware: the REST API and the operators' site speak one language.
        with translation.override(translation.get_language_from_request(request)):
            return _strict(view(request, *args, **kwargs))

    return strict


def with_scripts(response: HttpResponse) -> HttpResponse:
    """A hosted page that needs a script: from our own files, never inline."""
    response["Content-Security-Policy"] = f"{HEADERS['Content-Security-Policy']}; {_SCRIPTS}"
    return response


def problem(title: str, text: str, status: HTTPStatus) -> HttpResponse:
    """A page that says what went wrong and what to do; needs no request, so that it can't fail again."""
    return _strict(
        HttpResponse(render_to_string("problem.html", {"title": title, "text": text}), status=status)
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if _is_api(request):
        return _json(request, "The request can't be read.", HTTPStatus.BAD_REQUEST, code="bad_request")
    return _told(
        request, N_("This request can't be read"), N_("Go back and try again."), HTTPStatus.BAD_REQUEST
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if _is_api(request):
        return _json(request, "This is not allowed.", HTTPStatus.FORBIDDEN, code="permission_denied")
    return _told(
        request, N_("This is not allowed"), N_("You don't have access to this page."), HTTPStatus.FORBIDDEN
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if _is_api(request):
        return _json(request, f"There is no {request.path}.", HTTPStatus.NOT_FOUND, code="not_found")
    return _told(
        request,
        N_("Page not found"),
        N_("Check the address, or go back to where you came from."),
        HTTPStatus.NOT_FOUND,
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    if _is_api(request):
        return _json(
            request,
            "Something went wrong on our side. If it stays, tell the operator this answer's x-request-id.",
            HTTPStatus.INTERNAL_SERVER_ERROR,
            code="internal_error",
        )
    return _told(
        request,
        N_("Something went wrong on our side"),
        N_("Nothing was changed. Please try again in a moment."),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form was not sent from its own page, or the browser keeps no cookies."""
    return _told(
        request,
        N_("This form has to be sent again"),
        N_("Allow cookies for this site, open the page again and resend the form. Nothing was changed."),
        HTTPStatus.FORBIDDEN,
    )


def _told(request: HttpRequest, title: str, text: str, status: HTTPStatus) -> HttpResponse:
    with translation.override(translation.get_language_from_request(request)):
        return problem(_(title), _(text), status)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIX)


def _json(request: HttpRequest, message: str, status: HTTPStatus, *, code: str) -> HttpResponse:
    if is_metering(request.path):
        return JsonResponse(tenant_error_body(message, code), status=status)
    kind = "api_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return JsonResponse(error_body(message, type=kind, code=code), status=status)


def _strict(response: Answer) -> Answer:
    for name, value in HEADERS.items():
        response.setdefault(name, value)
    return response
