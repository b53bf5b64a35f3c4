"""Holding the embedded server: the first holder starts it, the last one stops it.

A holder has a shared lock on a file. The kernel drops it with the process, so that `kill -9` leaves no stale
count behind (the wheel's own list of pids does, and its lock is one for the whole machine). Starting and
stopping happen under a second, exclusive lock.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from config.embedded import CannotStart
from config.embedded.server import Server


class Attachment:
    """A hold on the running server; see `config.embedded.attach`."""

    def __init__(self, data_dir: Path, parameters: dict[str, str]) -> None:
        self._data_dir = data_dir
        self._parameters = parameters
        self._holders: int | None = None
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._server = Server.of(data_dir)
            with self._alone():
                self._holders = _open(data_dir / "postgres.holders")
                fcntl.flock(self._holders, fcntl.LOCK_SH)
                self._server.ensure_running(parameters)
        except OSError as error:
            raise CannotStart(str(error)) from error
        except BaseException:
            self.release()
            raise

    def revive(self) -> None:
        """Start the server again if it went away while it was held. Raises CannotStart."""
        if self._server.answers():
            return
        with self._alone():
            self._server.ensure_running(self._parameters)

    def release(self) -> None:
        """Let go; stops the server when nobody else holds it. A second call does nothing."""
        if self._holders is None:
            return
        with self._alone():
            try:
                # A shared lock becomes an exclusive one only where no other process shares it.
                fcntl.flock(self._holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._server.stop()
            except BlockingIOError:
                pass
            finally:
                os.close(self._holders)
                self._holders = None

    def __enter__(self) -> "Attachment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time starts or stops the server of a folder, and no signal leaves it half way."""
        lock = _open(self._data_dir / "postgres.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with _signals_wait():
                yield
        finally:
            os.close(lock)


@contextmanager
def _signals_wait() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
