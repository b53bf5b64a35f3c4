"""What a server writes in one turn of the loop goes out together, in order, and never piles up."""

import asyncio
from typing import Any

from config.serve.connections import ENOUGH, JoinedWrites


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
