"""The custom response API: a paywall's own endpoint words what the paywall says in the model's place.

It is asked with a signed POST and has three seconds in all. Whatever goes wrong, the template's text stands. An
endpoint that fails again and again is left alone for a while, so that it doesn't cost every answer three seconds.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import orjson

from config import ids, money
from paywalls.users import UserRef
from proxy.decisions import Decision
from proxy.http import Request
from proxy.snapshot import Endpoint
from proxy.surfaces import ModelRequest
from webhooks import signing
from webhooks.async_http import GuardedClient

log = logging.getLogger("tollgate.gateway")

SECONDS = 3.0
MAX_BYTES = 16 * 1024
EVENT = "paywall.reply@1"

# After so many failures in a row an endpoint rests for so many seconds; then one request tries it.
MAX_FAILURES = 3
REST_SECONDS = 30.0
# One endpoint may keep so many requests waiting; further ones get the template at once.
MAX_WAITING = 64
MAX_ENDPOINTS = 1_000


class _Unusable(Exception):
    """The endpoint answered, but not with a text."""


@dataclass(slots=True)
class _Health:
    failures: int = 0
    rests_until: float = 0.0
    waiting: int = 0


class Responder:
    """The process's client for these endpoints."""

    def __init__(self) -> None:
        self._client = GuardedClient()
        self._health: OrderedDict[str, _Health] = OrderedDict()

    async def text(self, request: Request, asked: ModelRequest, user: UserRef, decision: Decision) -> str:
        """What the end user is told: the endpoint's words, with the decision's link in them, or the template's."""
        endpoint = decision.voice.endpoint
        if endpoint is None:
            return decision.text
        health = self._of(endpoint)
        if health.waiting >= MAX_WAITING or time.monotonic() < health.rests_until:
            return decision.text
        if health.failures >= MAX_FAILURES:
            # This request tries it; the others go on without.
            health.rests_until = time.monotonic() + SECONDS
        health.waiting += 1
        try:
            said = await self._ask(endpoint, request, _context(request, asked, user, decision))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, _Unusable) as error:
            self._failed(health, endpoint, request, error)
            return decision.text
        finally:
            health.waiting -= 1
        health.failures, health.rests_until = 0, 0.0
        return _with_link(said, decision.url) if said else decision.text

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def _ask(self, endpoint: Endpoint, request: Request, body: bytes) -> str:
        headers = signing.headers([endpoint.secret], request.public_id, EVENT, body, datetime.now(UTC))
        async with asyncio.timeout(SECONDS):
            status, media_type, answer = await self._client.post(
                endpoint.url,
                body,
                {"Content-Type": "application/json", "Accept": "application/json, text/plain", **headers},
                seconds=SECONDS,
                limit=MAX_BYTES,
            )
        if not 200 <= status < 300:
            raise _Unusable(f"HTTP {status}")
        return _read(media_type, answer)

    def _of(self, endpoint: Endpoint) -> _Health:
        health = self._health.setdefault(endpoint.url, _Health())
        self._health.move_to_end(endpoint.url)
        if len(self._health) > MAX_ENDPOINTS:
            self._health.popitem(last=False)
        return health

    def _failed(self, health: _Health, endpoint: Endpoint, request: Request, error: Exception) -> None:
        health.failures += 1
        if health.failures >= MAX_FAILURES:
            health.rests_until = time.monotonic() + REST_SECONDS
        why = str(error) or type(error).__name__
        log.warning("%s: the response API %s failed: %s", request.public_id, endpoint.url, why)


def _context(request: Request, asked: ModelRequest, user: UserRef, decision: Decision) -> bytes:
    """What the endpoint is told. Amounts are decimal strings of US dollars, null where none are concerned."""
    amounts = {
        name: None if nano is None else money.plain(nano)
        for name, nano in (("required", decision.required), ("available", decision.available))
    }
    return orjson.dumps(
        {
            "case": decision.case,
            "paywall": {
                "id": ids.public("paywall", user.paywall_id),
                "name": decision.voice.wording.name,
            },
            "user": user.external_id,
            "model": asked.model,
            "url": decision.url or None,
            **amounts,
            "requestId": request.public_id,
            "message": decision.text,
        }
    )


def _read(media_type: str, body: bytes) -> str:
    """The text of an answer: `{"message": "…"}`, or plain. Empty leaves it to the template. Raises _Unusable."""
    try:
        if media_type == "application/json":
            parsed = orjson.loads(body) if body else {}
            said = parsed.get("message") if isinstance(parsed, dict) else parsed
        else:
            said = body.decode()
    except ValueError as error:
        raise _Unusable(f"its answer can't be read: {error}") from None
    if said is not None and not isinstance(said, str):
        raise _Unusable('its answer must be text, or JSON with a text as its "message"')
    return (said or "").strip()


def _with_link(said: str, url: str) -> str:
    """The endpoint words the answer; the link is ours, and is added where it was left out."""
    return said if not url or url in said else f"{said}\n\n{url}"
