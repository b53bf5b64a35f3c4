"""Calling providers: any OpenAI-compatible base URL, or the built-in sandbox."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import aiohttp
import orjson

from proxy import sandbox
from proxy.response import UpstreamDied, UpstreamResponse
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import ModelRequest

SANDBOX = "sandbox://"


class UpstreamUnreachable(Exception):
    """The provider did not answer at all: no connection, or it closed before a status came."""


def new_session() -> aiohttp.ClientSession:
    """The process's HTTP client: one pool of connections, no cookies, no proxy from the environment.

    How long a provider may take is its own setting, so the session has no time-outs.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        timeout=aiohttp.ClientTimeout(total=None),
        # Here, and not with each request: the client makes a multidict of its own of whatever a request brings.
        headers={"content-type": "application/json", "accept": "application/json, text/event-stream"},
    )


async def send(
    session: aiohttp.ClientSession,
    asked: ModelRequest,
    route: ModelSnapshot,
    body: Mapping[str, Any],
    client_headers: Mapping[str, str],
) -> UpstreamResponse:
    """Forward a request, as `body`; returns once the status is there. Close the answer. Raises UpstreamUnreachable.

    The provider's time-outs to connect and between two pieces hold in here; the others are the caller's.
    """
    provider = route.provider
    if provider.base_url.startswith(SANDBOX):
        return await sandbox.open_stream(body)
    try:
        answer = await session.post(
            f"{provider.base_url.rstrip('/')}{asked.surface.path}",
            data=aiohttp.BytesPayload(orjson.dumps(body)),
            headers=asked.surface.credentials(provider, client_headers),
            allow_redirects=False,
            timeout=_connecting_within(provider.timeouts.connect),
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UpstreamUnreachable(f"{type(error).__name__}: {error}") from error
    came = _Body(answer, provider.timeouts.idle)
    return UpstreamResponse(answer.status, answer.headers, came, close=came.close)


@lru_cache
def _connecting_within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


class _Body:
    """The body as it comes. Raises UpstreamDied, also where nothing comes for `idle` seconds after the first piece.

    No generator: the event loop keeps a book of those, and each of them has to be closed.
    """

    __slots__ = ("_answer", "_idle", "_read", "_watched")

    def __init__(self, answer: aiohttp.ClientResponse, idle: float) -> None:
        self._answer = answer
        self._read = answer.content.readany
        self._idle = idle
        self._watched = False

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamDied(f"{type(error).__name__}: {error}") from error
        if not chunk:
            raise StopAsyncIteration
        if not self._watched:
            self._watch()
        return chunk

    def close(self) -> None:
        """Drop the connection. At the body's end there is none any more: the client has it back in its pool."""
        if not self._answer.closed:
            self._answer.close()

    def _watch(self) -> None:
        # Not by its truth: the protocol is a queue, and false while it holds no answer.
        if (connection := self._answer.connection) and (protocol := connection.protocol) is not None:
            # It stops while our own client is slow to take what came.
            protocol.read_timeout = self._idle
            protocol.start_timeout()
            self._watched = True
