"""What stands in front of the fake provider: each is started, measured and stopped in turn."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.gateway import peers

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
PATH = "/v1/chat/completions"


@dataclass
class Running:
    """A candidate that serves. `ask` is for Tollgate only: a question to its books."""

    port: int
    pids: list[int]
    headers: dict[str, str] = field(default_factory=dict)
    path: str = PATH
    model: str = "bench"
    wallets: int = 10_000
    ask: Callable[[str], dict[str, Any]] | None = None


Starter = Callable[[str, int], Any]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody serves now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[Any]") -> None:
    """Until something accepts on the port. Raises peers.NotInstalled where the process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise peers.NotInstalled("it did not start")


@contextmanager
def spawned(
    command: list[str], environment: dict[str, str] | None = None, without: tuple[str, ...] = ()
) -> Iterator["subprocess.Popen[Any]"]:
    """A process that is ended when the block is left. `without` are variables that are ours and not its."""
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def direct(upstream: str, processes: int) -> Iterator[Running]:
    """(a) Nothing in between."""
    yield Running(int(upstream.rpartition(":")[2]), [])


@contextmanager
def passthrough(upstream: str, processes: int) -> Iterator[Running]:
    """(b) Plain ASGI and aiohttp, no database."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.gateway.passthrough:application", "--port", str(port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    command += ["--lifespan", "off", "--workers", str(processes)]
    with spawned(command, {"UPSTREAM": upstream}) as process:
        wait_for(port, process)
        yield Running(port, [process.pid])


def tollgate(wallets: int, embedded: bool = False) -> Starter:
    """(c), (d), (e) Tollgate on PostgreSQL, on so many wallets, or on its embedded default."""

    @contextmanager
    def start(upstream: str, processes: int) -> Iterator[Running]:
        with ExitStack() as stack:
            environment = dict(os.environ)
            if embedded:
                environment["DATABASE_URL"] = stack.enter_context(_embedded_server())
            command = [sys.executable, "-m", "bench.gateway.installation", "--upstream", upstream]
            command += ["--wallets", str(wallets), "--processes", str(processes)]
            site = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environment,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            questions, answers = site.stdin, site.stdout
            assert questions
            assert answers
            stack.callback(questions.close)
            line = answers.readline()
            if not line:
                raise peers.NotInstalled("it did not start")
            where = json.loads(line)

            def ask(question: str) -> dict[str, Any]:
                questions.write(question + "\n")
                questions.flush()
                answer: dict[str, Any] = json.loads(answers.readline())
                return answer

            yield Running(
                int(where["url"].rpartition(":")[2]),
                where["pids"],
                {"authorization": f"Bearer {where['key']}"},
                wallets=wallets,
                ask=ask,
            )

    return start


@contextmanager
def _embedded_server() -> Iterator[str]:
    """The product's own PostgreSQL with its own settings (durable); the URL of its database."""
    from config import embedded

    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        server = embedded.attach(Path(folder))
        try:
            yield f"postgres://{embedded.USER}@/{embedded.socket_dir(Path(folder))}/{embedded.DATABASE}"
        finally:
            server.release()


def peer(
    starter: Callable[[str, int], tuple[list[str], dict[str, str], dict[str, str]]],
    path: str = PATH,
    model: str = "bench",
) -> Starter:
    """(f), (g), (h) Another gateway; always as one process."""

    @contextmanager
    def start(upstream: str, processes: int) -> Iterator[Running]:
        port = free_port()
        peers.PORT_FILE.unlink(missing_ok=True)
        command, environment, headers = starter(upstream, port)
        with spawned(command, environment, without=("DATABASE_URL", "REDIS_URL")) as process:
            if starter is peers.tensorzero:
                port = _port_told(process)
            wait_for(port, process)
            yield Running(port, [process.pid], headers, path, model)

    return start


def _port_told(process: "subprocess.Popen[Any]") -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if peers.PORT_FILE.exists() and (text := peers.PORT_FILE.read_text()):
            return int(text)
        time.sleep(0.1)
    raise peers.NotInstalled("it did not start")


ALL: dict[str, Starter] = {
    "direct": direct,
    "pass-through": passthrough,
    "tollgate": tollgate(10_000),
    "tollgate, one wallet": tollgate(1),
    "tollgate, embedded": tollgate(10_000, embedded=True),
    "litellm": peer(peers.litellm),
    "portkey": peer(peers.portkey),
    "tensorzero": peer(peers.tensorzero, "/openai/v1/chat/completions", "tensorzero::model_name::bench"),
}
# What can be asked to run as more than one process.
SCALES = ("pass-through", "tollgate", "tollgate, one wallet", "tollgate, embedded")
