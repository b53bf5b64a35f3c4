"""A deadline for a whole exchange: a socket's own timeout starts anew with every byte that dribbles in."""

import socket
import threading
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType

_current: ContextVar["Deadline | None"] = ContextVar("deadline", default=None)


class Deadline:
    """Within it, every connection that `watch` was told of is cut when the time is over.

    The cut goes through a duplicate of the descriptor, so that it reaches a socket that TLS has wrapped meanwhile.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.passed = False

    def __enter__(self) -> "Deadline":
        self._token = _current.set(self)
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)
        self._timer.cancel()
        with self._lock:
            for watched in self._sockets:
                watched.close()
            self._sockets.clear()

    def watch(self, connected: socket.socket) -> None:
        """Cut this connection, too, when the time is over."""
        with self._lock:
            self._sockets.append(connected.dup())
        if self.passed:
            self._cut()

    def _cut(self) -> None:
        self.passed = True
        with self._lock:
            for watched in self._sockets:
                with suppress(OSError):  # it is closed already
                    watched.shutdown(socket.SHUT_RDWR)


def watch(connected: socket.socket) -> None:
    """Put a connection under the deadline of the current thread, where there is one."""
    if deadline := _current.get():
        deadline.watch(connected)
