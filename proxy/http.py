"""HTTP on plain ASGI: what Django's middleware would have given is here, once: bodies with a limit, JSON, headers."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import orjson

from config import cors, ids, leaving
from config.errors import ApiError, BodyTooLarge

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Of a body that is too large this much is still read and dropped, so that the client gets to read our answer.
DRAIN_BYTES = 64 * 1024 * 1024


class ClientLeft(Exception):
    """The client closed the connection before it had its answer."""


class Request:
    """One HTTP request. `id` is its key everywhere: header, hold, ledger row, log line."""

    __slots__ = ("_query", "_receive", "_watch", "headers", "id", "method", "path", "raw_path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.id: uuid.UUID = ids.new()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._query: bytes = scope.get("query_string", b"")
        self._receive = receive
        self._watch: leaving.Watch | None = scope.get("extensions", {}).get(leaving.EXTENSION)

    @property
    def public_id(self) -> str:
        """The `req_…` that clients see."""
        return ids.public("request", self.id)

    def header(self, name: str) -> str:
        """A header's value, '' where it is absent."""
        return self.headers.get(name.encode(), b"").decode("latin-1")

    def parameter(self, name: str) -> str | None:
        """A parameter of the query; the last one where it is given twice, None where it is absent."""
        return parse_qs(self._query.decode("latin-1"), keep_blank_values=True).get(name, [None])[-1]

    def named_headers(self) -> dict[str, str]:
        """All headers, by lower-case name."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers.items()}

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge over `limit` bytes, ClientLeft where it never came whole."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            elif size > limit + DRAIN_BYTES:
                raise BodyTooLarge(limit)
            if not message.get("more_body"):
                break
        if size > limit:
            raise BodyTooLarge(limit)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def when_left(self, told: Callable[[], None]) -> Callable[[], object]:
        """Have `told` called once the client has closed the connection; what is returned ends that.

        Only after the body was read. Servers may tell it after a complete answer as well.
        """
        if self._watch:
            return self._watch(told)
        return asyncio.create_task(self._left(told)).cancel

    async def _left(self, told: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        told()


class Response:
    """The answer to one request; remembers what was sent, for the access log and for errors on the way."""

    __slots__ = ("_request", "_send", "error_body", "extra", "finished", "readable_from", "status")

    def __init__(self, request: Request, send: Send) -> None:
        self._request = request
        self._send = send
        self.status = 0
        self.finished = False
        # The origin of the page that may read the answer, "" for none.
        self.readable_from = ""
        # Headers of the answer, whatever it will be.
        self.extra: dict[str, str] = {}
        # The shape that errors have on this path.
        self.error_body: Callable[[ApiError], dict[str, Any]] = ApiError.body

    @property
    def started(self) -> bool:
        """Whether the status has gone out."""
        return self.status != 0

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers; our request id is among them."""
        self.status = status
        named = {**headers, **self.extra, "x-request-id": self._request.public_id}
        if self.readable_from:
            named |= cors.answer_headers(self.readable_from)
        encoded = [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in named.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes) -> None:
        """Send a part of the body at once."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a complete answer."""
        await self.start(status, {**headers, "content-length": str(len(body))})
        await self.finish(b"" if self._request.method == "HEAD" else body)

    async def json(
        self, body: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a JSON answer."""
        await self.whole(status, orjson.dumps(body), {"content-type": "application/json", **(headers or {})})

    async def error(self, error: ApiError) -> None:
        """Send an error in the shape of the path's API."""
        await self.json(self.error_body(error), error.status, error.headers)
