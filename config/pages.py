"""What every hosted page shares: strict headers, and pages for what went wrong (JSON under /v1)."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from config.errors import error_body

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

P = ParamSpec("P")


def hosted(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A view whose every answer has the strict headers: no scripts, no frames, no cache, no index."""

    @wraps(view)
    def strict(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        return _strict(view(request, *args, **kwargs))

    return strict


def problem(title: str, text: str, status: HTTPStatus) -> HttpResponse:
    """A page that says what went wrong and what to do; needs no request, so that it can't fail again."""
    return _strict(
        HttpResponse(render_to_string("problem.html", {"title": title, "text": text}), status=status)
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    if _is_api(request):
        return _json("The request can't be read.", HTTPStatus.BAD_REQUEST, code="bad_request")
    return problem("This request can't be read", "Go back and try again.", HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    if _is_api(request):
        return _json("This is not allowed.", HTTPStatus.FORBIDDEN, code="permission_denied")
    return problem("This is not allowed", "You don't have access to this page.", HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if _is_api(request):
        return _json(f"There is no {request.path}.", HTTPStatus.NOT_FOUND, code="not_found")
    return problem(
        "Page not found", "Check the address, or go back to where you came from.", HTTPStatus.NOT_FOUND
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    if _is_api(request):
        return _json(
            "Something went wrong on our side. If it stays, tell the operator this answer's x-request-id.",
            HTTPStatus.INTERNAL_SERVER_ERROR,
            code="internal_error",
        )
    return problem(
        "Something went wrong on our side",
        "Nothing was changed. Please try again in a moment.",
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form was not sent from its own page, or the browser keeps no cookies."""
    return problem(
        "This form has to be sent again",
        "Allow cookies for this site, open the page again and resend the form. Nothing was changed.",
        HTTPStatus.FORBIDDEN,
    )


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PREFIX)


def _json(message: str, status: HTTPStatus, *, code: str) -> HttpResponse:
    kind = "api_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return JsonResponse(error_body(message, type=kind, code=code), status=status)


def _strict(response: HttpResponse) -> HttpResponse:
    for name, value in HEADERS.items():
        response[name] = value
    return response
