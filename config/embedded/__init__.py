"""The embedded PostgreSQL: a real server in a folder, for machines that have none.

Importing this starts nothing; `attach` does. The settings import it, so what is heavy waits until then.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config.embedded.attachment import Attachment

DATABASE = "tollgate"
USER = "postgres"
PORT = 5432

# A Unix socket's whole path must fit sockaddr_un: 108 bytes on Linux, 104 on macOS, with the closing NUL.
_MAX_SOCKET_PATH = 103


class CannotStart(Exception):
    """The embedded server can't serve; the message says why and what to do instead."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The embedded PostgreSQL can't start: {why}\n\n"
            "Mend that, or name a PostgreSQL server of your own (14 or newer) and start again:\n"
            "    DATABASE_URL=postgres://user:password@host:5432/database"
        )


def server_dir(data_dir: Path) -> Path:
    """Where the server keeps its files (PGDATA)."""
    return data_dir / "postgres"


def socket_dir(data_dir: Path) -> Path:
    """Where the server's socket is: beside its data, or under /tmp where that path is too long for a socket.

    Derived from the path alone, so that every process agrees before the server runs.
    """
    beside = server_dir(data_dir)
    if len(str(beside / f".s.PGSQL.{PORT}").encode()) <= _MAX_SOCKET_PATH:
        return beside
    # Not tempfile's folder: TMPDIR differs between shells. The server refuses a folder that isn't its own.
    return Path("/tmp") / f"tollgate-{hashlib.sha256(str(beside).encode()).hexdigest()[:16]}"  # noqa: S108


def connection(data_dir: Path) -> dict[str, Any]:
    """Django's settings of the embedded database; starts nothing."""
    return {"NAME": DATABASE, "USER": USER, "HOST": str(socket_dir(data_dir)), "PORT": str(PORT)}


def attach(data_dir: Path, **parameters: str) -> "Attachment":
    """Use the embedded server of `data_dir`: start it if it is down, make its database if it is missing.

    The answer is held for as long as the server is needed (`with`, or `release()`); the last holder among all
    processes stops the server. `parameters` are server settings such as `fsync="off"`; they count where this
    call starts the server. Raises CannotStart.
    """
    from config.embedded.attachment import Attachment

    return Attachment(data_dir, parameters)
