"""Middleware of Django's own pages and REST API. The gateway is plain ASGI and does this for itself."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from config import cors, ids


class RequestIdMiddleware(MiddlewareMixin):
    """A new id for every request: the key on `request.request_id`, its public form in the answer's headers.

    An id that the client sends is not taken: ledger entries repeat ours, and it must be unique.
    """

    def process_request(self, request: HttpRequest) -> None:
        request.request_id = ids.new()  # type: ignore[attr-defined]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response["X-Request-Id"] = ids.public("request", request.request_id)  # type: ignore[attr-defined]
        return response


class CrossOriginMiddleware(MiddlewareMixin):
    """Lets a page read the answer where its key's paywall allows the page's origin (`request.readable_from`)."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if origin := getattr(request, "readable_from", ""):
            for name, value in cors.answer_headers(origin).items():
                response[name] = value
        return response
