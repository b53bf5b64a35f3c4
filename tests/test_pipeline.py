"""Our own round trips to the database, where the network ends them: whoever waits is told."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import uvloop

from config.db import connection_parameters
from config.sql import Statement
from ledger.pipeline import Pipeline

pytestmark = pytest.mark.django_db


class Relay:
    """A stretch of TCP between a client and the database, that can be cut."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut_after: int | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        near, _ = self._listener.accept()
        far = _database_socket()
        threading.Thread(target=self._forward, args=(near, far), daemon=True).start()
        while data := far.recv(65_536):
            if self.cut_after is None:
                near.sendall(data)
                continue
            near.sendall(data[: self.cut_after])
            # Closed without lingering: a reset, and no orderly end.
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            near.shutdown(socket.SHUT_RD)
            near.close()
            far.close()
            return

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        while data := near.recv(65_536):
            far.sendall(data)


def _database_socket() -> socket.socket:
    parameters = connection_parameters()
    host, port = parameters.get("host", "127.0.0.1"), int(parameters.get("port", 5432))
    if host.startswith("/"):
        link = socket.socket(socket.AF_UNIX)
        link.connect(f"{host}/.s.PGSQL.{port}")
        return link
    return socket.create_connection((host, port))


@contextmanager
def relay() -> Iterator[Relay]:
    made = Relay()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("cut_after", [0, 7, 60], ids=["nothing", "part of a message", "some messages"])
def test_a_reset_in_the_middle_of_an_answer_is_told(run, cut_after):
    async def ask(port):
        pipeline = await Pipeline.connect(**connection_parameters() | {"host": "127.0.0.1", "port": port})
        try:
            assert await pipeline.run([Statement("SELECT 1")]) == [[(1,)]]
            between.cut_after = cut_after
            answer = asyncio.ensure_future(pipeline.run([Statement("SELECT 2"), Statement("SELECT 3")]))
            # What arrives meanwhile, the answer's beginning and the reset, is one event for the loop.
            asyncio.get_running_loop().call_soon(time.sleep, 0.2)
            with pytest.raises(psycopg.OperationalError):
                await asyncio.wait_for(answer, 20)
            assert pipeline.closed
        finally:
            await pipeline.close()

    with relay() as between:
        run(ask(between.port))
