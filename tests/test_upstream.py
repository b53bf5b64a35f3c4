"""What a provider gets over the wire, and what becomes of its connection."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from proxy import upstream
from proxy.response import UpstreamDied
from proxy.snapshot import ProviderSnapshot, Timeouts
from proxy.surfaces.chat import Chat

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n"
)


class Provider:
    """A server that answers each request with the same bytes, and keeps what came and through how many connections."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.connections = 0
        self.lost = asyncio.Event()
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(2)
                self.requests.append(head + body)
                writer.write(self._answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost.set()
            writer.close()


def run(
    answer: bytes, work: Callable[[Callable[..., Awaitable[Any]], Provider], Awaitable[Any]], path: str = ""
) -> Any:
    """`work` is given how to ask a provider, which answers so, and the provider."""

    async def main() -> Any:
        provider = Provider(answer)
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"

        async def ask() -> Any:
            known = ProviderSnapshot("up", address, "sk-up", (), timeouts=Timeouts(5, 5, 0.2, 5))
            asked: Any = SimpleNamespace(surface=Chat())
            route: Any = SimpleNamespace(provider=known)
            return await upstream.send(session, asked, route, {}, {})

        async with server, upstream.new_session() as session:
            return await asyncio.wait_for(work(ask, provider), 20)

    return asyncio.run(main())


async def told(ask: Callable[..., Awaitable[Any]], provider: Provider) -> bytes:
    answer = await ask()
    assert await answer.read(10) == b"{}"
    await answer.aclose()
    return provider.requests[0]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/a%2Fb/%7Ec", "/a%2Fb/~c/chat/completions"),
        ("/mödel x", "/m%C3%B6del%20x/chat/completions"),
        ("/v1?key=a+b%26c", "/v1?key=a+b%26c/chat/completions"),
        ("/v1/../v2", "/v2/chat/completions"),
    ],
)
def test_a_request_is_these_bytes(path: str, target: str) -> None:
    head, _, body = run(PLAIN, told, path).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"POST {target} HTTP/1.1"
    assert [line for line in lines[1:] if not line.startswith(("Host:", "Accept-Encoding:"))] == [
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        "authorization: Bearer sk-up",
        f"User-Agent: {aiohttp.http.SERVER_SOFTWARE}",
        "Content-Length: 2",
    ]
    assert body == b"{}"


def test_a_connection_is_used_again_after_an_answer_was_read_to_its_end() -> None:
    async def thrice(ask: Callable[..., Awaitable[Any]], provider: Provider) -> None:
        for _ in range(3):
            await told(ask, provider)
        assert (len(provider.requests), provider.connections) == (3, 1)

    run(PLAIN, thrice)


@pytest.mark.parametrize("read_some", [True, False])
def test_a_connection_is_dropped_with_an_answer_that_was_not(read_some: bool) -> None:
    async def leave(ask: Callable[..., Awaitable[Any]], provider: Provider) -> None:
        answer = await ask()
        if read_some:
            assert await anext(aiter(answer.chunks)) == b"one"
        await answer.aclose()
        await answer.aclose()
        await provider.lost.wait()

    run(CHUNKED, leave)


def test_a_silence_after_the_first_piece_is_an_answer_that_broke_off() -> None:
    async def wait(ask: Callable[..., Awaitable[Any]], _: Provider) -> None:
        answer = await ask()
        assert await anext(aiter(answer.chunks)) == b"one"
        with pytest.raises(UpstreamDied, match="SocketTimeoutError"):
            await anext(aiter(answer.chunks))
        await answer.aclose()

    run(CHUNKED, wait)


def test_a_compressed_answer_is_read_as_what_it_says() -> None:
    packed = gzip.compress(b"{}")
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
    run(head.encode() + packed, told)
