"""The embedded PostgreSQL: starts with its first user, stops with its last, and says why where it can't."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config import embedded
from config.embedded.server import Server
from tests.environment import FAST, ROOT, clean

pytestmark = [pytest.mark.server, pytest.mark.embedded]

HOLD = """
import pathlib, sys
from config import embedded
embedded.attach(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if embedded.server_dir(tmp_path).exists():
        embedded.attach(tmp_path).release()


class Holder:
    """Another process that holds the server."""

    def __init__(self, data_dir: Path) -> None:
        command = [sys.executable, "-c", HOLD, str(data_dir)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait(self) -> "Holder":
        assert self.process.stdout
        assert self.process.stdout.readline() == "held\n"
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def runs(data_dir: Path) -> bool:
    return Server.of(data_dir).answers()


def query(data_dir: Path, statement: str) -> list[tuple[Any, ...]]:
    to = embedded.connection(data_dir)
    with psycopg.connect(host=to["HOST"], port=to["PORT"], user=to["USER"], dbname=to["NAME"]) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


def manage(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = clean() | {"DATA_DIR": str(data_dir)}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_last_user_stops_it_and_data_stays(data_dir: Path) -> None:
    with embedded.attach(data_dir):
        query(data_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not runs(data_dir)
    with embedded.attach(data_dir):
        assert query(data_dir, "SELECT answer FROM kept") == [(42,)]


def test_it_stays_while_another_process_uses_it(data_dir: Path) -> None:
    first = embedded.attach(data_dir, **FAST)
    second = Holder(data_dir).wait()
    first.release()
    assert runs(data_dir)
    second.kill()


def test_a_killed_user_does_not_keep_it_alive(data_dir: Path) -> None:
    Holder(data_dir).wait().kill()
    assert runs(data_dir), "nobody was left to stop it"
    embedded.attach(data_dir).release()
    assert not runs(data_dir)


def test_several_start_it_at_once(data_dir: Path) -> None:
    holders = [Holder(data_dir) for _ in range(4)]
    for holder in holders:
        holder.wait()
    assert query(data_dir, "SELECT 1") == [(1,)]
    for holder in holders:
        holder.kill()


def test_a_killed_server_is_started_again_with_its_data(data_dir: Path) -> None:
    with embedded.attach(data_dir) as held:
        query(data_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
        pid = int((embedded.server_dir(data_dir) / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        while runs(data_dir):
            time.sleep(0.05)
        held.revive()
        assert query(data_dir, "SELECT answer FROM kept") == [(42,)]


def test_a_first_start_cut_short_is_made_anew(data_dir: Path) -> None:
    half_made = data_dir / "postgres.new" / "base"
    half_made.mkdir(parents=True)
    with embedded.attach(data_dir, **FAST):
        assert query(data_dir, "SELECT 1") == [(1,)]
    assert not half_made.exists()


def test_a_path_too_long_for_a_socket_works(data_dir: Path) -> None:
    deep = data_dir / ("a folder with a rather long name " * 3) / "var"
    socket = Path(embedded.connection(deep)["HOST"])
    assert len(str(socket)) < 100
    with embedded.attach(deep, **FAST):
        assert query(deep, "SELECT 1") == [(1,)]
    assert not socket.exists(), "nothing is left under /tmp"


def test_somebody_elses_socket_folder_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = data_dir / ("a folder with a rather long name " * 3) / "var"
    theirs = embedded.socket_dir(deep)
    theirs.symlink_to("/")
    try:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(embedded.CannotStart, match="belongs to somebody else"):
            Server(deep, theirs, Path("/"), {})._prepare_socket_dir()
    finally:
        theirs.unlink()


def test_data_of_another_major_version_is_refused(data_dir: Path) -> None:
    folder = embedded.server_dir(data_dir)
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(embedded.CannotStart) as refused:
        embedded.attach(data_dir)
    assert "made by PostgreSQL 9.6" in str(refused.value)
    assert "DATABASE_URL=" in str(refused.value)
    (folder / "PG_VERSION").unlink()


def test_the_reason_of_a_failed_start_is_told_once_without_a_traceback(data_dir: Path) -> None:
    embedded.attach(data_dir, **FAST).release()
    config = embedded.server_dir(data_dir) / "postgresql.conf"
    sound = config.read_text()
    config.write_text(sound + "no_such_setting = 1\n")
    done = manage(data_dir, "showmigrations")
    config.write_text(sound)
    assert done.returncode == 1
    assert "no_such_setting" in done.stderr
    assert "DATABASE_URL=" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_told(data_dir: Path) -> None:
    (data_dir / "file").touch()
    with pytest.raises(embedded.CannotStart, match="Not a directory"):
        embedded.attach(data_dir / "file" / "var")


def test_reading_the_settings_starts_nothing(data_dir: Path) -> None:
    assert manage(data_dir, "diffsettings").returncode == 0
    assert not embedded.server_dir(data_dir).exists()


def test_a_command_brings_its_own_server_and_takes_it_down(data_dir: Path) -> None:
    done = manage(data_dir, "showmigrations", "ledger")
    assert done.returncode == 0, done.stderr
    assert "0001_initial" in done.stdout
    assert not runs(data_dir)


def test_a_command_beside_a_running_product_leaves_its_server_alone(data_dir: Path) -> None:
    with embedded.attach(data_dir):
        assert manage(data_dir, "showmigrations", "ledger").returncode == 0
        assert runs(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends it another user")
def test_root_runs_it_as_another_user(data_dir: Path) -> None:
    with embedded.attach(data_dir, **FAST):
        assert embedded.server_dir(data_dir).stat().st_uid != 0
        assert (embedded.server_dir(data_dir) / "server.log").stat().st_uid != 0
