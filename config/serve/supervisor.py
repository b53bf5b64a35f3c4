"""The processes of a running product: started together, restarted when one ends, stopped in order."""

import errno
import http.client
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.conf import settings

from config import embedded
from config.serve.child import Child
from config.startup import Refused

if TYPE_CHECKING:
    from config.embedded.attachment import Attachment

READY_SECONDS = 60
TICK_SECONDS = 0.1
DATABASE_CHECK_SECONDS = 5

# What a worker's tasks get, and a web process after its own SHUTDOWN_SECONDS, before they are killed.
GRACE_SECONDS = 10


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """The socket that all web processes serve. Raises Refused where the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "something else runs there" if taken else error
        raise Refused(
            f"{host}:{port} can't be served: {why}.\n\nChoose another address with PORT (and HOST):\n"
            f"    PORT={port + 1 if taken else 8000} make run"
        ) from error
    with listener:
        yield listener


class Supervisor:
    """`web` processes on one listening socket and perhaps a worker, on a database that is held for them."""

    def __init__(self, listener: socket.socket, database: "Attachment | None", *, worker: bool) -> None:
        self._listener = listener
        self._database = database
        self._database_checked = time.monotonic()
        self._stops = 0
        fd = str(listener.fileno())
        self._web = [
            Child(f"web process {number}", "config.serve.web", ["--fd", fd], keep=[listener.fileno()])
            for number in range(1, settings.WEB_PROCESSES + 1)
        ]
        self._workers = [Child("worker", "config.serve.worker")] if worker else []

    def start(self) -> None:
        """Start every process. From here on SIGINT and SIGTERM end `run`."""
        for sort in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sort, self._ask_to_stop)
        for child in [*self._web, *self._workers]:
            child.start()

    def wait_until_ready(self) -> None:
        """Until /healthz answers. Raises Refused where it doesn't, KeyboardInterrupt where a signal comes."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._healthy():
            if self._stops:
                raise KeyboardInterrupt
            for child in [*self._web, *self._workers]:
                if (code := child.exit_code()) is not None:
                    raise Refused(f"The {child.name} ended with code {code}; what it said is above.")
            if time.monotonic() > deadline:
                raise Refused(f"/healthz didn't answer within {READY_SECONDS} seconds.")
            time.sleep(TICK_SECONDS)

    def run(self) -> None:
        """Keep everything running until a signal comes."""
        while not self._stops:
            for child in [*self._web, *self._workers]:
                if news := child.keep_running():
                    say(news)
            self._keep_database()
            time.sleep(TICK_SECONDS)

    def stop(self) -> None:
        """End the web processes, which settle what is under way, then the worker; a second signal kills."""
        if self._stops:
            say("Stopping (again to stop at once).")
        self._listener.close()
        self._end(self._web, settings.SHUTDOWN_SECONDS + GRACE_SECONDS)
        self._end(self._workers, GRACE_SECONDS)
        if self._stops:
            say("Stopped.")

    def _end(self, children: list[Child], seconds: float) -> None:
        for child in children:
            child.ask_to_end()
        deadline = time.monotonic() + seconds
        while any(child.exit_code() is None for child in children):
            if time.monotonic() > deadline or self._stops > 1:
                for child in children:
                    child.kill()
            time.sleep(TICK_SECONDS)

    def _ask_to_stop(self, *_: Any) -> None:
        self._stops += 1

    def _healthy(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104
        client = http.client.HTTPConnection(host, settings.PORT, timeout=2)
        try:
            client.request("GET", "/healthz")
            return client.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    def _keep_database(self) -> None:
        if self._database is None or time.monotonic() < self._database_checked + DATABASE_CHECK_SECONDS:
            return
        self._database_checked = time.monotonic()
        try:
            self._database.revive()
        except embedded.CannotStart as error:
            say(str(error))


def say(text: str) -> None:
    """A line for the operator, apart from the logs of the processes."""
    print(f"tollgate: {text}", file=sys.stderr, flush=True)  # noqa: T201
