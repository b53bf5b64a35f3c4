"""The HTTP client for customers' addresses on the event loop: the rules of `http.py`, for callers that can't wait.

Each name is looked up by us, and only addresses that a delivery may go to are connected to: the very ones that were
judged. No redirects, cookies, proxies or passwords of the machine's.
"""

import socket
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from webhooks import addresses, http

MAX_CONNECTIONS = 200


class ForbiddenAddress(OSError):
    """The host leads to an address that nothing may be sent to."""


class _GuardedResolver(AbstractResolver):
    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = [one for one in found if addresses.may_receive(ip_address(one["host"]), self._scheme)]
        if not allowed:
            raise ForbiddenAddress(http.FORBIDDEN)
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


class GuardedClient:
    """One pool of connections a scheme, since plain http may go to fewer addresses. Make it on the event loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, seconds: float, limit: int
    ) -> tuple[int, str, bytes]:
        """Status, media type and body of the answer, within `seconds` in all.

        Raises aiohttp.ClientError, TimeoutError or OSError; ValueError where the answer is over `limit` bytes.
        """
        target = URL(url)
        # A spelled-out address is never looked up, so the resolver doesn't see it.
        address = addresses.literal(target.host or "")
        if address is not None and not addresses.may_receive(address, target.scheme):
            raise ForbiddenAddress(http.FORBIDDEN)
        async with self._session(target.scheme).post(
            target,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
        ) as answer:
            read = bytearray()
            async for part in answer.content.iter_any():
                read += part
                if len(read) > limit:
                    raise ValueError(f"the answer is over {limit:,} bytes")
            return answer.status, answer.content_type, bytes(read)

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        if scheme not in self._sessions:
            self._sessions[scheme] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=MAX_CONNECTIONS, resolver=_GuardedResolver(scheme), ssl=http.tls()
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Tollgate/1", "Accept-Encoding": "identity"},
            )
        return self._sessions[scheme]

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
