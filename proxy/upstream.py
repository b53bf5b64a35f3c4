"""Calling providers: any OpenAI-compatible base URL, or the built-in sandbox."""

from collections.abc import AsyncIterator, Mapping

import aiohttp
import orjson
from django.conf import settings

from proxy import sandbox
from proxy.response import UpstreamDied, UpstreamResponse
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import ModelRequest

SANDBOX = "sandbox://"


class UpstreamUnreachable(Exception):
    """The provider did not answer at all: no connection, or no status in time."""


def new_session() -> aiohttp.ClientSession:
    """The process's HTTP client: one pool of connections, no cookies, no proxy from the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        timeout=aiohttp.ClientTimeout(
            total=settings.UPSTREAM_TOTAL_SECONDS,
            sock_connect=settings.UPSTREAM_CONNECT_SECONDS,
            sock_read=settings.UPSTREAM_IDLE_SECONDS,
        ),
    )


async def send(
    session: aiohttp.ClientSession,
    asked: ModelRequest,
    model: ModelSnapshot,
    client_headers: Mapping[str, str],
) -> UpstreamResponse:
    """Forward a request; returns once the status is there. Close the answer. Raises UpstreamUnreachable."""
    provider, body = model.provider, asked.forwarded(model)
    if provider.base_url.startswith(SANDBOX):
        return await sandbox.open_stream(body)
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    try:
        answer = await session.post(
            f"{provider.base_url.rstrip('/')}{asked.surface.path}",
            data=orjson.dumps(body),
            headers=headers | asked.surface.credentials(provider, client_headers),
            allow_redirects=False,
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UpstreamUnreachable(f"{type(error).__name__}: {error}") from error
    return UpstreamResponse(answer.status, answer.headers, _chunks(answer), close=answer.close)


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes."""
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UpstreamDied(f"{type(error).__name__}: {error}") from error
