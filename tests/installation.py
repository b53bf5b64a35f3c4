"""A whole installation for a test: real server processes on a database of its own."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import requests
import yaml

from tests import databases, environment

START_SECONDS = 60
STOP_SECONDS = 20

# What is sold where a test doesn't care: the sandbox's models, a trial for a dollar's worth of chat.
DOCUMENT: dict[str, Any] = {
    "tenant": {"name": "Acme", "email": "ops@acme.test"},
    "paywalls": [
        {
            "name": "Acme Chat",
            "trial_credit": "1",
            "providers": [{"name": "sandbox", "base_url": "sandbox://"}],
            "models": [
                {
                    "id": f"sandbox/{model}",
                    "provider": "sandbox",
                    "upstream_model": model,
                    "pricing": {"prompt": "1", "completion": "2", "request": "0.01"},
                    "max_output_tokens": 256,
                }
                for model in ("echo", "slow", "error", "breaks", "no-usage")
            ],
        }
    ],
}

_numbers = itertools.count(1)


class Installation:
    """Tollgate as an operator runs it: its own database, `servers` web processes, a worker if wanted.

    Get one from the fixture, which starts it and stops it at the test's end:

        def test_two_servers_share_a_balance(installation):
            site = installation(document, servers=2, env={"HOLD_SECONDS": "1000"})
            site.client(0).chat.completions.create(model="sandbox/echo", user="alice", messages=[…])
            site.kill(0)                       # kill -9; `site.start_server(0)` serves the same address again
            requests.get(site.url(1) + "/readyz")
            site.sql("SELECT posted, held FROM ledger_account WHERE kind = %s", "wallet")   # a list of dicts
            assert site.manage("verify_ledger").returncode == 0

    `document` is what `manage.py apply` reads (a dict, see docs/configuration.md), DOCUMENT by default. `key`
    is the first paywall's key, `keys` all of them by paywall name. `env` adds environment variables for every
    process. Links point to server 0 (PUBLIC_URL). `worker=True` runs the background worker, whose clock
    sweeps stale holds.
    """

    def __init__(
        self,
        document: dict[str, Any] | None = None,
        *,
        servers: int = 1,
        worker: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        self.document = document or DOCUMENT
        self.keys: dict[str, str] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="tollgate-installation-")
        self.folder = Path(self._folder.name)
        self._database = f"tollgate_installation_{os.getpid()}_{next(_numbers)}"
        self._ports = [_free_port() for _ in range(servers)]
        self._has_worker = worker
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.env = environment.clean() | {
            "DATA_DIR": str(self.folder / "var"),
            "DATABASE_URL": databases.url_of(self._database),
            "REDIS_URL": os.environ.get("REDIS_URL", ""),
            "PUBLIC_URL": self.url(0) if servers else "http://127.0.0.1:8000",
            "SANDBOX_CHECKOUT": "true",
            **(env or {}),
        }

    @classmethod
    @contextmanager
    def running(cls, *args: Any, **options: Any) -> Iterator["Installation"]:
        """An installation for several tests, stopped at the end: `with Installation.running(document) as site:`."""
        site = cls(*args, **options)
        try:
            site.start()
            yield site
        finally:
            site.stop()

    @property
    def key(self) -> str:
        """The first paywall's key."""
        return next(iter(self.keys.values()))

    def url(self, server: int = 0) -> str:
        """Where a server is, such as `http://127.0.0.1:40123`."""
        return f"http://127.0.0.1:{self._ports[server]}"

    def client(self, server: int = 0, **options: Any) -> openai.OpenAI:
        """The official client on a server, with the first paywall's key and without retries."""
        return openai.OpenAI(
            **{"base_url": f"{self.url(server)}/v1", "api_key": self.key, "max_retries": 0, **options}
        )

    def sql(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows that a statement answers, each a dict; every call sees what is committed by then."""
        with databases.connect(self.env["DATABASE_URL"]) as connection:
            cursor = connection.execute(query, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def manage(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` on this installation to its end; look at `returncode`, `stdout` and `stderr`."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=environment.ROOT,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """Apply a document and keep the keys that it made; what `manage.py apply` answers."""
        done = self.manage("apply", "-", stdin=yaml.safe_dump(document))
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        self.keys |= {paywall["name"]: paywall["key"] for paywall in answer["paywalls"] if paywall["key"]}
        return answer

    def start(self) -> None:
        """Make the database, start every process, apply the document and wait until the servers are ready."""
        databases.create(self._database, template=databases.migrated())
        for server in range(len(self._ports)):
            self._spawn_server(server)
        if self._has_worker:
            self.start_worker()
        self.apply(self.document)
        for server in range(len(self._ports)):
            self._wait_until_ready(server)

    def start_server(self, server: int, *, module: str = "config.serve.web") -> None:
        """Start a server (again) on its address and wait until it is ready; `module` is what it runs."""
        self._spawn_server(server, module)
        self._wait_until_ready(server)

    def start_worker(self, name: str = "worker") -> None:
        """Start the background worker (again), or one more of another name; it is not waited for."""
        self._spawn(name, "config.serve.worker")

    def process(self, server: int | str) -> subprocess.Popen[bytes]:
        """The process of a server, or of "worker"."""
        return self._processes[_name(server)]

    def kill(self, server: int | str, sort: signal.Signals = signal.SIGKILL) -> None:
        """End a server, or "worker", by a signal (kill -9 where none is named) and wait for its end."""
        process = self.process(server)
        process.send_signal(sort)
        process.wait(STOP_SECONDS)

    def log(self, server: int | str) -> str:
        """What a server, or "worker", wrote so far."""
        return (self.folder / f"{_name(server)}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End every process and drop the database."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self._processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin
            process.stdin.close()
        self._processes.clear()
        databases.drop(self._database)
        self._folder.cleanup()

    def _spawn_server(self, server: int, module: str = "config.serve.web") -> None:
        with socket.create_server(("127.0.0.1", self._ports[server]), backlog=1024) as listener:
            fd = listener.fileno()
            self._spawn(_name(server), module, "--fd", str(fd), keep=[fd], port=self._ports[server])

    def _spawn(
        self, name: str, module: str, *arguments: str, keep: list[int] | None = None, port: int = 8000
    ) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            # Standard input is its lifeline: killed tests leave no servers behind.
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--follow-parent"],
                cwd=environment.ROOT,
                env={**self.env, "PORT": str(port)},
                pass_fds=keep or [],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait_until_ready(self, server: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process(server).poll() is None:
            try:
                if requests.get(f"{self.url(server)}/readyz", timeout=START_SECONDS).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        raise AssertionError(f"server {server} isn't ready; it said:\n{self.log(server)[-4000:]}")


def _name(server: int | str) -> str:
    return server if isinstance(server, str) else f"server-{server}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
