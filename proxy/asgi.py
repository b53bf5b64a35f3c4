"""The gateway's ASGI application: the hot paths of the API, without Django's handler.

Django's own runs a thread for each request and costs over a millisecond of CPU; this costs a twentieth of that.
What its middleware would have given is in here and in `http.py`: routes, methods, the body limit, the request id,
errors as JSON, the access log.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from django.conf import settings

from config.errors import ApiError, Unavailable
from proxy import health, models_list
from proxy.chat import chat
from proxy.gateway import Gateway
from proxy.http import ClientLeft, Receive, Request, Response, Scope, Send

log = logging.getLogger("tollgate.gateway")
access = logging.getLogger("tollgate.access")

Handler = Callable[[Gateway, Request, Response], Awaitable[None]]

# nginx's number for a client that closed the connection first; in the access log only.
CLIENT_CLOSED_REQUEST = 499


class MethodNotAllowed(ApiError):
    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Use {allowed} here.", headers={"Allow": allowed})


def route(scope: Scope) -> tuple[str, Handler] | None:
    """The method and handler of a request that is the gateway's; None leaves it to Django.

    It works on the raw path, so that an end user's id may hold an encoded slash. A body that is told to be too large is
    refused here for Django's paths as well, which would first write all of it to the disk.
    """
    path = scope["raw_path"].partition(b"?")[0].decode("latin-1")
    if path == "/v1/chat/completions":
        return "POST", chat
    if path == "/v1/models":
        return "GET", models_list.list_models
    if path == "/healthz":
        return "GET", health.healthz
    if path == "/readyz":
        return "GET", health.readyz
    match path.split("/"):
        case ["", "v1", user, "chat", "completions"]:
            return "POST", lambda gateway, request, response: chat(gateway, request, response, unquote(user))
        case ["", "v1", "models", *model] if model != [""]:
            model_id = unquote("/".join(model))
            return "GET", lambda gateway, request, response: models_list.show_model(
                gateway, request, response, model_id
            )
    if _told_size(scope) > settings.MAX_BODY_BYTES:
        return scope["method"], _refuse_body
    return None


def _told_size(scope: Scope) -> int:
    told = dict(scope["headers"]).get(b"content-length", b"0")
    return int(told) if told.isdigit() else 0


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
        await _answer(response, error)
    except asyncio.CancelledError:
        status = CLIENT_CLOSED_REQUEST
        raise
    except Exception:
        log.exception("%s failed", request.public_id)
        await _answer(
            response, Unavailable("Something went wrong on our side.", status=500, code="server_error")
        )
    finally:
        access.info(
            "%s %s %s %.1fms %s",
            request.method,
            request.path,
            status or response.status,
            (time.perf_counter() - started) * 1000,
            request.public_id,
        )


async def _answer(response: Response, error: ApiError) -> None:
    if not response.started:
        await response.error(error)
    elif not response.finished:
        await response.finish()
