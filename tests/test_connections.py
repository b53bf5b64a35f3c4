"""What a server writes in one turn of the loop goes out together, in order, and never piles up; who serves a request is
told that its client has left.
"""

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from config import leaving
from config.serve.connections import ENOUGH, Connection, JoinedWrites
from proxy.call import CancelledWhenLeft
from proxy.http import Request, Response


class FakeTransport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return f"its {name}"


def on_a_loop(use: Any) -> FakeTransport:
    async def main() -> FakeTransport:
        transport: Any = FakeTransport()
        use(JoinedWrites(transport, asyncio.get_running_loop()), transport)
        await asyncio.sleep(0)
        return transport

    return asyncio.run(main())


def test_a_head_and_its_body_are_one_write() -> None:
    def answer(joined: Any, transport: FakeTransport) -> None:
        joined.write(b"head ")
        joined.write(b"body")
        assert transport.written == []

    assert on_a_loop(answer).written == [b"head body"]


def test_much_is_written_without_waiting_for_more() -> None:
    """Else who sends without a pause would fill the memory: a transport stops nobody from what it has not got."""

    def answer(joined: Any, transport: FakeTransport) -> None:
        joined.write(b"head ")
        joined.write(b"x" * ENOUGH)
        assert transport.written == [b"head " + b"x" * ENOUGH]
        joined.write(b" end")

    assert on_a_loop(answer).written == [b"head " + b"x" * ENOUGH, b" end"]


def test_what_was_written_goes_out_before_the_connection_closes() -> None:
    def answer(joined: Any, transport: FakeTransport) -> None:
        joined.write(b"all")
        joined.close()
        assert transport.written == [b"all"]
        assert transport.closed

    assert on_a_loop(answer).written == [b"all"]


def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    def answer(joined: Any, transport: FakeTransport) -> None:
        joined.write(b"too late")
        transport.close()

    assert on_a_loop(answer).written == []


def test_all_else_is_the_transports_own() -> None:
    def ask(joined: Any, transport: FakeTransport) -> None:
        assert joined.get_extra_info("peername") == "its peername"

    on_a_loop(ask)


# --- Clients that leave --------------------------------------------------------------------------------------

GET = b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n"
SECONDS = 10


def on_a_server(
    application: Callable[[Any, Any, Any], Awaitable[None]],
    client: Callable[[socket.socket], Awaitable[None]],
) -> None:
    """Serve on connections of ours while a client does something, and leave then."""

    async def main() -> None:
        config = uvicorn.Config(application, http=Connection, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.create_task(server.serve([listener]))
            with socket.create_connection(listener.getsockname()) as connection:
                connection.setblocking(False)
                await asyncio.wait_for(client(connection), SECONDS)
            server.should_exit = True
            await asyncio.wait_for(serving, SECONDS)

    asyncio.run(main())


async def whole(send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]},
    )
    await send({"type": "http.response.body"})


class Watcher:
    """An application whose requests watch for their clients' leaving; `extended` as our server lets them."""

    def __init__(self, *, extended: bool = True, watch_late: bool = False) -> None:
        self.came = asyncio.Queue[str]()
        self.told = asyncio.Queue[str]()
        self.go_on = asyncio.Event()
        self._extended = extended
        self._watch_late = watch_late

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert leaving.EXTENSION in scope["extensions"]
        if not self._extended:
            del scope["extensions"]
        request = Request(scope, receive)
        await request.body(10**7)
        left = asyncio.Event()
        self.came.put_nowait(request.path)
        if self._watch_late:
            await self.go_on.wait()
        request.when_left(left.set)
        await left.wait()
        self.told.put_nowait(request.path)


@pytest.mark.parametrize("extended", [True, False])
def test_a_request_is_told_that_its_client_has_left(extended: bool) -> None:
    async def leave(client: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(client, GET % 1)
        assert await watcher.came.get() == "/1"
        client.close()
        assert await watcher.told.get() == "/1"

    watcher = Watcher(extended=extended)
    on_a_server(watcher, leave)


def test_who_begins_to_watch_when_the_client_is_gone_is_told_as_well() -> None:
    async def leave(client: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(client, GET % 1)
        await watcher.came.get()
        client.close()
        await asyncio.sleep(0.1)
        watcher.go_on.set()
        assert await watcher.told.get() == "/1"

    watcher = Watcher(watch_late=True)
    on_a_server(watcher, leave)


def test_the_end_is_seen_behind_a_long_body() -> None:
    """The server stops reading while a body is long, until the application takes it."""

    async def leave(client: socket.socket) -> None:
        body = b"x" * 1_000_000
        head = b"POST /long HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body)
        await asyncio.get_running_loop().sock_sendall(client, head + body)
        assert await watcher.came.get() == "/long"
        client.close()
        assert await watcher.told.get() == "/long"

    watcher = Watcher()
    on_a_server(watcher, leave)


@pytest.mark.parametrize("extended", [True, False])
def test_who_has_ended_the_watch_is_told_nothing(extended: bool) -> None:
    told: list[str] = []
    served = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if not extended:
            del scope["extensions"]
        request = Request(scope, receive)
        await request.body(0)
        end = request.when_left(lambda: told.append("left"))
        await asyncio.sleep(0)
        end()
        await whole(send)
        served.set()

    async def leave(client: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(client, GET % 1)
        await served.wait()
        client.close()
        await asyncio.sleep(0.1)

    on_a_server(application, leave)
    assert told == []


def test_a_watch_that_began_too_late_ends_as_well() -> None:
    told: list[str] = []
    gone, served = asyncio.Event(), asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await gone.wait()
        Request(scope, receive).when_left(lambda: told.append("left"))()
        await asyncio.sleep(0)
        served.set()

    async def leave(client: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(client, GET % 1)
        await asyncio.sleep(0.1)
        client.close()
        await asyncio.sleep(0.1)
        gone.set()
        await served.wait()

    on_a_server(application, leave)
    assert told == []


def test_every_request_of_a_pipeline_is_told() -> None:
    """They wait for each other, and uvicorn tells only the last one."""

    async def leave(client: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(client, GET % 1 + GET % 2)
        assert await watcher.came.get() == "/1"
        client.close()
        assert await watcher.told.get() == "/1"

    watcher = Watcher()
    on_a_server(watcher, leave)


def test_a_request_leaves_nothing_to_the_garbage_collector() -> None:
    """What refers to itself waits for the collector, and all of the request with it: 40,000 objects at a time were a
    pause of 80 ms."""
    requests = 50

    async def application(scope: Any, receive: Any, send: Any) -> None:
        request, response = Request(scope, receive), Response(Request(scope, receive), send)
        await request.body(0)
        with CancelledWhenLeft(request, response):
            await response.whole(200, b"", {})

    async def ask(client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in range(requests):
            await loop.sock_sendall(client, GET % number)
            await loop.sock_recv(client, 65536)
        await asyncio.sleep(0)
        garbage.append(gc.collect())

    garbage: list[int] = []
    gc.collect()
    gc.disable()
    try:
        on_a_server(application, ask)
    finally:
        gc.enable()
    assert garbage[0] < requests
