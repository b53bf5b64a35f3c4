"""The bare pass-through: plain ASGI and aiohttp, no key, no user, no money. What Python can do here at best.

UPSTREAM=http://127.0.0.1:9000 uvicorn bench.gateway.passthrough:application --loop uvloop --http httptools
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

UPSTREAM = os.environ["UPSTREAM"] + "/v1/chat/completions"

_session: aiohttp.ClientSession | None = None


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Send the body on, and what comes back as it comes."""
    global _session
    if scope["type"] != "http":
        return
    if _session is None:
        _session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {"content-type": "application/json", "authorization": "Bearer bench"}
    async with _session.post(UPSTREAM, data=body, headers=headers) as answer:
        kept = [
            (name.lower().encode(), value.encode())
            for name, value in answer.headers.items()
            if name.lower() in ("content-type", "content-length")
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": kept})
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
