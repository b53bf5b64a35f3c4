"""One command, from nothing to a running product and back: `python -m config.serve` (`make run`)."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
import requests

from tests import databases
from tests.environment import ROOT, clean

pytestmark = [pytest.mark.server, pytest.mark.embedded]

READY = "Ctrl-C stops everything."


class Run:
    """One run of the supervisor. `out` is what it and its processes printed so far."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = data_dir.parent / f"run-{self.port}.log"
        self.data_dir = data_dir
        defaults = {"DATA_DIR": str(data_dir), "PORT": str(self.port)}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.serve"],
                cwd=ROOT,
                env=clean() | defaults | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        return self._log.read_text()

    @property
    def key(self) -> str:
        return re.findall(r"sk-paywalls-[\w-]+", self.out)[0]

    def ready(self) -> "Run":
        """Wait until it has printed all it has to say."""
        wait_until(lambda: READY in self.out or self.process.poll() is not None, 60)
        assert READY in self.out, self.out
        return self

    def refused(self) -> str:
        """Wait until it gave up; what it said."""
        assert self.process.wait(60) == 1, self.out
        assert "Traceback" not in self.out
        return self.out

    def everything(self) -> list[psutil.Process]:
        """The supervisor, all below it, and the embedded server."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        pid_file = self.data_dir / "postgres" / "postmaster.pid"
        if pid_file.exists():
            found.append(psutil.Process(int(pid_file.read_text().split()[0])))
        return [psutil.Process(self.process.pid), *found]

    def pid_of(self, module: str) -> int | None:
        """The running process of a module."""
        below = psutil.Process(self.process.pid).children()
        living = [child for child in below if child.status() != psutil.STATUS_ZOMBIE]
        return next((child.pid for child in living if module in child.cmdline()), None)

    def stop(self, sort: signal.Signals = signal.SIGINT) -> int:
        """Stop it as an operator does; its exit code."""
        self.process.send_signal(sort)
        return self.process.wait(60)

    def chat(
        self, text: str = "Hello", user: str = "alice", model: str = "sandbox/echo", **options: Any
    ) -> Any:
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)
        messages: Any = [{"role": "user", "content": text}]
        return client.chat.completions.create(model=model, user=user, messages=messages, **options)


class Runs:
    """Makes runs on one data folder, and ends what a failed test left of them."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.made: list[Run] = []

    def __call__(self, **variables: str) -> Run:
        self.made.append(Run(self.data_dir, **variables))
        return self.made[-1]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that the runs of this module share, so that only the first one has to make it."""
    return tmp_path_factory.mktemp("serve") / "var"


@pytest.fixture
def serve(kept: Path) -> Iterator[Runs]:
    yield from _ended(Runs(kept))


@pytest.fixture
def serve_afresh(tmp_path: Path) -> Iterator[Runs]:
    """Like `serve`, on a folder of its own that isn't there yet."""
    yield from _ended(Runs(tmp_path / "var"))


@pytest.fixture(scope="module")
def running(kept: Path) -> Iterator[Run]:
    """The first run, for tests that leave it as it is."""
    runs = Runs(kept)
    ended = _ended(runs)
    next(ended)
    yield runs().ready()
    next(ended, None)


def _ended(runs: Runs) -> Iterator[Runs]:
    yield runs
    left = [run for run in runs.made if run.process.poll() is None]
    for run in left:
        run.process.send_signal(signal.SIGINT)
    for run in left:
        run.process.wait(60)


@pytest.fixture
def database() -> Iterator[str]:
    """The DATABASE_URL of an empty database."""
    name = f"tollgate_serve_{os.getpid()}"
    databases.create(name)
    yield databases.url_of(name)
    databases.drop(name)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until(met: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not met() and time.monotonic() < deadline:
        time.sleep(0.05)


def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Until they have ended; whether init has buried them is not ours."""

    def alive(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    wait_until(lambda: not any(map(alive, processes)), 30)
    assert [process for process in processes if alive(process)] == []


def test_the_printed_snippets_work_until_the_trial_is_spent(running: Run) -> None:
    snippet = re.search(r"^from openai import OpenAI$.*?^print\(.*?$", running.out, re.MULTILINE | re.DOTALL)
    curl = re.search(r"^curl .*?Hello.*?$", running.out, re.MULTILINE | re.DOTALL)
    assert snippet
    assert curl

    def paste() -> str:
        done = subprocess.run(
            [sys.executable, "-c", snippet[0]],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    assert "Hello" in paste()
    if shutil.which("curl"):
        answer = subprocess.run(["sh", "-c", curl[0]], capture_output=True, text=True, check=True)
        assert '"finish_reason":"stop"' in answer.stdout.replace(" ", "")
    else:
        running.chat()
    assert [running.url in paste() for _ in range(3)] == [False, False, True], "the fifth holds the link"


def test_the_printed_operator_login_opens_the_admin(running: Run) -> None:
    password = re.search(r"(\w+), password (\S+)", running.out)
    assert password
    session = requests.Session()
    page = f"{running.url}/admin/login/"
    session.get(page, timeout=30)
    form = {
        "username": password[1],
        "password": password[2],
        "csrfmiddlewaretoken": session.cookies["csrftoken"],
        "next": "/admin/",
    }
    answer = session.post(page, data=form, headers={"Referer": page}, timeout=30)
    assert answer.url == f"{running.url}/admin/"
    assert answer.status_code == 200


def test_commands_run_beside_it(running: Run) -> None:
    env = clean() | {"DATA_DIR": str(running.data_dir)}
    command = [sys.executable, "manage.py", "verify_ledger"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert requests.get(f"{running.url}/readyz", timeout=30).ok


def test_another_run_goes_on_with_the_same_data(serve: Runs, running: Run) -> None:
    running.chat(user="bob")
    again = serve().ready()
    assert again.key == running.key
    assert "shown this once" not in again.out
    assert "changepassword" in again.out
    headers = {"Authorization": f"Bearer {again.key}"}
    answer = requests.get(f"{again.url}/v1/user/balance?user=bob", headers=headers, timeout=30)
    assert 0 < int(answer.json()["balance"]) < 50_000_000, "the first run's charge is there"


def test_ctrl_c_leaves_no_process_behind(serve_afresh: Runs) -> None:
    run = serve_afresh().ready()
    started = run.everything()
    assert len(started) >= 4, "supervisor, web, worker, PostgreSQL"
    assert run.stop(signal.SIGINT) == 0
    wait_until_gone(started)


def test_a_stop_while_it_starts_leaves_no_process_behind(serve_afresh: Runs) -> None:
    run = serve_afresh()
    wait_until(lambda: (serve_afresh.data_dir / "postgres" / "postmaster.pid").exists(), 60)
    started = run.everything()
    assert run.stop(signal.SIGTERM) == 0
    wait_until_gone(started)
    assert "Traceback" not in run.out


def test_a_killed_supervisor_takes_everything_with_it(serve_afresh: Runs) -> None:
    run = serve_afresh().ready()
    started = run.everything()
    run.process.kill()
    run.process.wait()
    wait_until_gone(started)
    assert serve_afresh().ready().key == run.key, "and the next one starts as ever"


def test_a_stream_under_way_ends_before_the_stop(serve: Runs) -> None:
    run = serve().ready()
    stream = run.chat("one two three four five", user="carol", model="sandbox/slow", stream=True)
    words = [next(stream).choices[0].delta.content or "" for _ in range(2)]
    stopper = threading.Thread(target=run.stop, args=[signal.SIGTERM])
    stopper.start()
    chunks = [chunk.choices[0] for chunk in stream if chunk.choices]
    words += [choice.delta.content or "" for choice in chunks]
    stopper.join(60)
    assert "five" in "".join(words)
    assert chunks[-1].finish_reason == "stop"
    assert run.process.returncode == 0


def test_a_process_that_dies_is_started_again(serve: Runs) -> None:
    run = serve().ready()
    for module in ("config.serve.web", "config.serve.worker"):
        died = run.pid_of(module)
        assert died
        os.kill(died, signal.SIGKILL)
        wait_until(lambda module=module, died=died: run.pid_of(module) not in {None, died}, 10)
        assert run.pid_of(module) not in {None, died}
    assert run.out.count("it starts again") == 2
    assert requests.get(f"{run.url}/readyz", timeout=30).ok, "the address was served all the time"


def test_a_taken_port_is_told_before_anything_starts(serve_afresh: Runs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = serve_afresh(PORT=str(port)).refused()
    assert f"127.0.0.1:{port}" in said
    assert "PORT=" in said
    assert not (serve_afresh.data_dir / "postgres").exists()


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"PUBLIC_URL": "https://paywall.example.com"},
            ["tollgate.E002", "tollgate.E003", "ENCRYPTION_KEYS"],
        ),
        ({"ENCRYPTION_KEYS": "short"}, ["tollgate.E004"]),
        ({"PORT": "http"}, ["PORT: "]),
        ({"PORT": "99999"}, ["99999"]),
        ({"DATABASE_URL": "mysql://root@127.0.0.1/tollgate"}, ["tollgate.E010"]),
        ({"DATABASE_URL": "postgres://tollgate@127.0.0.1:port/tollgate"}, ["A setting can't be read"]),
        ({"HOST": "nowhere.invalid"}, ["nowhere.invalid:"]),
        (
            {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
            ["PostgreSQL can't be used", "DATABASE_URL"],
        ),
    ],
)
def test_a_wrong_setting_is_told(serve_afresh: Runs, variables: dict[str, str], told: list[str]) -> None:
    said = serve_afresh(**variables).refused()
    for part in told:
        assert part in said
    assert not (serve_afresh.data_dir / "postgres").exists()


def test_two_that_start_at_once_on_a_named_server(serve_afresh: Runs, database: str) -> None:
    runs = [serve_afresh(DATABASE_URL=database, DEMO="true") for _ in range(2)]
    for run in runs:
        run.ready()
    assert runs[0].key == runs[1].key
    assert sum("shown this once" in run.out for run in runs) == 1
    with databases.connect(database) as connection:
        assert connection.execute("SELECT count(*) AS n FROM paywalls_paywall").fetchall() == [{"n": 1}]
    assert runs[0].chat().choices[0].message.content
    assert not (serve_afresh.data_dir / "postgres").exists()


def test_a_named_server_gets_no_demo_unless_asked(serve_afresh: Runs, database: str) -> None:
    run = serve_afresh(DATABASE_URL=database, WEB_PROCESSES="2").ready()
    assert "sk-paywalls-" not in run.out
    assert "manage.py apply" in run.out
    assert sum("config.serve.web" in process.cmdline() for process in run.everything()) == 2
