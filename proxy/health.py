"""`/healthz` says that the process answers, `/readyz` that it can do its work."""

import asyncio
import logging
from collections.abc import Awaitable

import redis.asyncio
from django.conf import settings
from django.db import connection

from config.db import in_thread
from proxy.gateway import Gateway
from proxy.http import Request, Response

log = logging.getLogger("tollgate.gateway")

CHECK_SECONDS = 3.0


async def healthz(gateway: Gateway, request: Request, response: Response) -> None:
    """The process is up."""
    await response.json({"status": "ok"})


async def readyz(gateway: Gateway, request: Request, response: Response) -> None:
    """The database answers; 503 where it does not. Redis is told of: each process counts limits itself where it is."""
    database = await _works(in_thread(_ask_database))
    checks = {"database": "ok" if database else "away"}
    if settings.REDIS_URL:
        checks["redis"] = "ok" if await _works(_ask_redis()) else "away"
        # Which of the two the last requests were counted by.
        checks["limits"] = gateway.counters.state
    body = {"status": "ok" if database else "unavailable", **checks}
    await response.json(body, 200 if database else 503)


async def _works(check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check
    except Exception as error:
        log.warning("not ready: %s", error)
        return False
    return True


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


async def _ask_redis() -> None:
    client = redis.asyncio.from_url(settings.REDIS_URL, socket_timeout=CHECK_SECONDS)
    try:
        await client.ping()
    finally:
        await client.aclose()
