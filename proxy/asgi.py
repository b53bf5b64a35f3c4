"""The gateway's ASGI application: the hot paths of the API, without Django's handler.

Django's own runs a thread for each request and costs over a millisecond of CPU; this costs a twentieth of that.
What its middleware would have given is in here and in `http.py`: routes, methods, the body limit, the request id,
errors as JSON, the access log.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from urllib.parse import unquote

from django.conf import settings

from config import cors
from config.errors import ApiError, Unavailable, is_metering
from proxy import call, entitlements, health, models_list, playground
from proxy.gateway import Gateway
from proxy.http import ClientLeft, Receive, Request, Response, Scope, Send
from proxy.record import CLIENT_CLOSED_REQUEST, SERVER_ERROR
from proxy.surfaces import SURFACES

log = logging.getLogger("tollgate.gateway")
access = logging.getLogger("tollgate.access")

Handler = Callable[[Gateway, Request, Response], Awaitable[None]]


class MethodNotAllowed(ApiError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Use {allowed} here.", headers={"Allow": allowed})


HANDLERS: dict[str, tuple[str, Handler]] = {
    **{f"/v1{path}": ("POST", partial(call.answer, surface=surface)) for path, surface in SURFACES.items()},
    "/v1/models": ("GET", models_list.list_models),
    "/v1/entitlements/check": ("POST", entitlements.check),
    playground.PATH: ("POST", playground.chat),
    "/healthz": ("GET", health.healthz),
    "/readyz": ("GET", health.readyz),
}


def route(scope: Scope) -> tuple[str, Handler] | None:
    """The method and handler of a request that is the gateway's; None leaves it to Django.

    It works on the raw path, so that an end user's id may hold an encoded slash. A body that is told to be too large is
    refused here for Django's paths as well, which would first write all of it to the disk.
    """
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    if scope["method"] == "OPTIONS" and path.startswith("/v1/"):
        return "OPTIONS", _preflight
    if handler := HANDLERS.get(path):
        return handler
    match path.split("/", 3):
        case ["", "v1", user, rest] if surface := SURFACES.get(f"/{rest}"):
            return "POST", partial(call.answer, surface=surface, url_user=unquote(user))
        case ["", "v1", "models", *model] if model != [""]:
            return "GET", partial(models_list.show_model, model_id=unquote("/".join(model)))
    if _told_size(scope) > settings.MAX_BODY_BYTES:
        return scope["method"], _refuse_body
    return None


def _told_size(scope: Scope) -> int:
    told = dict(scope["headers"]).get(b"content-length", b"0")
    return int(told) if told.isdigit() else 0


async def _preflight(gateway: Gateway, request: Request, response: Response) -> None:
    """What a browser asks before a page's call, on any path of the API."""
    if origin := request.header("origin"):
        asked = request.header("access-control-request-headers")
        await response.whole(HTTPStatus.NO_CONTENT, b"", cors.preflight_headers(origin, asked))
    else:
        await response.whole(HTTPStatus.NO_CONTENT, b"", {"Allow": cors.ALLOWED_METHODS})


async def _refuse_body(gateway: Gateway, request: Request, response: Response) -> None:
    await request.body(settings.MAX_BODY_BYTES)


async def serve(
    gateway: Gateway, method: str, handler: Handler, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run one request: every error becomes an answer, every request one line in the access log."""
    started = time.perf_counter()
    request = Request(scope, receive)
    response = Response(request, send)
    status: int | None = None
    try:
        if request.method != method and not (request.method == "HEAD" and method == "GET"):
            raise MethodNotAllowed(method)
        await handler(gateway, request, response)
    except ClientLeft:
        status = CLIENT_CLOSED_REQUEST
    except ApiError as error:
        await _answer(handler, request, response, error)
    except asyncio.CancelledError:
        status = CLIENT_CLOSED_REQUEST
        raise
    except Exception:
        log.exception("%s failed", request.public_id)
        await _answer(
            handler,
            request,
            response,
            Unavailable("Something went wrong on our side.", status=500, code=SERVER_ERROR),
        )
    finally:
        access.info(
            "%s %s %s %.1fms %s",
            request.method,
            # As it came: decoded, a path could hold a line of its own.
            request.raw_path.decode("latin-1"),
            status or response.status,
            (time.perf_counter() - started) * 1000,
            request.public_id,
        )


async def _answer(handler: Handler, request: Request, response: Response, error: ApiError) -> None:
    if not response.started:
        # Not by the path alone: an end user's id in the path of a chat may be any word.
        if handler in (entitlements.check, _refuse_body) and is_metering(request.raw_path.decode("latin-1")):
            response.error_body = ApiError.tenant_body
        await response.error(error)
    elif not response.finished:
        await response.finish()
