"""HTTP connections that write at once what the server gives in pieces, such as the head of an answer and its body, and
that say when they are lost.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config import leaving

# So much (bytes) is written without waiting for more, so that the connection's own limits hold.
ENOUGH = 16 * 1024


class JoinedWrites:
    """A transport that gathers what is written in one turn of the event loop. All else is the transport's own."""

    __slots__ = ("_loop", "_pieces", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Write with what else is written in this turn, in order."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            self._flush()

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            if not self._transport.is_closing():
                self._transport.write(data)


class Leaving:
    """Who wants to know when a client leaves. It knows nothing of the connection, which so needs no collector to go."""

    __slots__ = ("_has_left", "_watchers")

    def __init__(self) -> None:
        self._watchers: set[Callable[[], None]] = set()
        self._has_left = False

    def watch(self, told: Callable[[], None]) -> Callable[[], object]:
        """Have `told` called then; soon, where the client has left. What is returned ends the watch."""
        if self._has_left:
            return asyncio.get_running_loop().call_soon(told).cancel
        self._watchers.add(told)
        return partial(self._watchers.discard, told)

    def tell(self) -> None:
        """The client has left."""
        self._has_left = True
        for told in tuple(self._watchers):
            told()


class Connection(HttpToolsProtocol):
    """Uvicorn's, with two things more.

    An answer is one system call and one packet less, and who serves a request can be told that its client has left
    (`config/leaving.py`).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))
        self._leaving = Leaving()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._leaving.tell()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["extensions"] = {leaving.EXTENSION: self._leaving.watch}

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if not self.pipeline:
            # A long body stopped the reading, and who doesn't read learns of no end.
            self.flow.resume_reading()
