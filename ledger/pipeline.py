"""A connection for round trips: any number of statements are one write to the database and one wait for its answers.

The driver's own pipeline waits, and wakes the event loop, at every statement; those waits were most of what posting
cost the gateway. This speaks to libpq through the driver instead, and leaves connecting, types and errors to it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result

from config.sql import Rows, Statement

# Statements that the server keeps prepared. There are a few dozen texts in all.
MAX_PREPARED = 500
# Seconds after which a round trip looks at its socket unasked: where a connection is reset, uvloop calls its reader
# once and never again, and what that call read may have been an answer, with the end still to come.
LOOK_SECONDS = 1.0

_TEXT = {str}
_PLACEHOLDER = re.compile("%[s%]")


class Pipeline:
    """One connection on the running event loop, for one task at a time.

    After an error it is of no more use: close it and connect again, which also ends the transaction it was in.
    """

    def __init__(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._types = Transformer(connection)
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        # For each answer that is still to come: whether it is a statement's, and not of its preparation.
        self._expected: deque[bool] = deque()
        self._answers: list[Rows] = []
        self._result: pq.abc.PGresult | None = None
        self._error: psycopg.Error | None = None
        self._round_trip: asyncio.Future[None] | None = None
        self._look_due: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        # Kept: libpq forgets it with the connection.
        self._socket = self._pg.socket
        self._loop.add_reader(self._socket, self._readable)

    @classmethod
    async def connect(cls, **parameters: Any) -> "Pipeline":
        """Connect with what psycopg takes. Raises psycopg.OperationalError."""
        return cls(await psycopg.AsyncConnection.connect(**parameters, autocommit=True))

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """What is known of the connection."""
        return self._connection.info

    @property
    def closed(self) -> bool:
        """Whether it is closed, by us or by the server."""
        return self._connection.closed

    async def close(self) -> None:
        """Close it; a round trip under way fails."""
        self._lose("the connection was closed")
        await self._connection.close()

    async def run(self, statements: Sequence[Statement]) -> list[Rows]:
        """The rows of each statement, in order; an empty list for one that returns none. Raises psycopg.Error.

        Where no transaction was begun, the round trip is one.
        """
        if self.closed:
            raise psycopg.OperationalError("the connection is closed")
        assert self._round_trip is None, "one round trip at a time"
        self._answers, self._round_trip = [], self._loop.create_future()
        if self._look_due is None:
            self._look_due = self._loop.call_later(LOOK_SECONDS, self._look)
        try:
            for statement in statements:
                self._send(statement)
            self._pg.pipeline_sync()
            self._write()
            await self._round_trip
        finally:
            self._round_trip = None
        return self._answers

    # --- Sending ---------------------------------------------------------------------------------------------

    def _send(self, statement: Statement) -> None:
        values, types, formats = self._encoded(statement.params)
        name = self._prepared.get((statement.text, types))
        if name is None:
            name = b"s%d" % len(self._prepared) if len(self._prepared) < MAX_PREPARED else b""
            self._pg.send_prepare(name, _numbered(statement.text), types or None)
            self._expected.append(False)
            if name:
                self._prepared[statement.text, types] = name
        self._pg.send_query_prepared(name, values, formats, result_format=pq.Format.BINARY)
        self._expected.append(True)

    def _encoded(
        self, params: Sequence[Any]
    ) -> tuple[Sequence[Any] | None, tuple[int, ...], Sequence[pq.Format] | None]:
        """Parameters as the server takes them. Array literals and other text, which most are, need no driver."""
        if not params:
            return None, (), None
        if set(map(type, params)) == _TEXT:
            return [param.encode() for param in params], (), None
        values = self._types.dump_sequence(params, [PyFormat.AUTO] * len(params))
        return values, tuple(self._types.types or ()), self._types.formats

    def _write(self) -> None:
        """Write what the socket takes now; the rest goes when it takes more."""
        if self._pg.flush():
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        try:
            if not self._pg.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._lose(str(error))

    # --- Receiving -------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Read as if there were something, as long as a round trip is under way."""
        self._look_due = None
        if self._round_trip and self._socket >= 0:
            self._look_due = self._loop.call_later(LOOK_SECONDS, self._look)
            self._readable()

    def _readable(self) -> None:
        try:
            self._pg.consume_input()
            while not self._pg.is_busy():
                result = self._pg.get_result()
                if result is None:
                    if self._result is None:
                        break
                    self._take(self._result)
                    self._result = None
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    self._end()
                else:
                    self._result = result
        except (psycopg.Error, OSError) as error:
            self._lose(str(error))

    def _take(self, result: "pq.abc.PGresult") -> None:
        """The answer to one statement, or to its preparation."""
        wanted = self._expected.popleft()
        if result.status == pq.ExecStatus.TUPLES_OK:
            self._types.set_pgresult(result, format=pq.Format.BINARY)
            self._answers.append(self._types.load_rows(0, result.ntuples, tuple))
        elif result.status == pq.ExecStatus.COMMAND_OK:
            if wanted:
                self._answers.append([])
        elif result.status != pq.ExecStatus.PIPELINE_ABORTED and self._error is None:
            self._error = error_from_result(result, encoding="utf-8")

    def _end(self) -> None:
        """The round trip is over: all its answers are here, or the error that the server stopped at."""
        if self._round_trip and not self._round_trip.done():
            if self._error:
                self._round_trip.set_exception(self._error)
            else:
                self._round_trip.set_result(None)

    def _lose(self, why: str) -> None:
        """The connection is gone. The socket's number may soon be somebody else's."""
        if self._socket < 0:
            return
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket = -1
        if self._look_due:
            self._look_due.cancel()
        self._pg.finish()
        if self._round_trip and not self._round_trip.done():
            self._round_trip.set_exception(psycopg.OperationalError(why))


def _numbered(text: str) -> bytes:
    """A statement with the server's own placeholders: `%s` becomes `$1` and on, `%%` a percent sign."""
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        if match.group() == "%%":
            return "%"
        count += 1
        return f"${count}"

    return _PLACEHOLDER.sub(number, text).encode()
