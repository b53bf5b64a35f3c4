"""Tollgate beside the bare pass-through and other gateways, in front of one fake provider, in turn, in one run.

    DATABASE_URL=postgres://postgres@127.0.0.1/postgres make bench

Prints a table of requests a second, their ratio to the pass-through, latencies, CPU a request and memory; then, for
Tollgate, whether its books agree with the provider's own count. Everything stays on 127.0.0.1 and ends by itself.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.gateway import prices
from bench.gateway.candidates import ALL, SCALES, Running, free_port, spawned, wait_for
from bench.gateway.peers import NotInstalled

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CHUNKS = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each cell is measured")
    parser.add_argument("--clients", default="1,16,64,256")
    parser.add_argument(
        "--processes", type=int, default=1, help="server processes, of those that can have more"
    )
    parser.add_argument("--shapes", default="plain,streamed")
    parser.add_argument("--only", help="candidates, separated by semicolons: " + "; ".join(ALL))
    parser.add_argument("--pause", type=int, default=0, help="milliseconds between the chunks of a stream")
    parser.add_argument(
        "--together",
        action="store_true",
        help="with --pause, begin all streams in the same instant, not spread over one stream's time",
    )
    parser.add_argument("--json", type=Path, help="keep the figures in this file, too")
    arguments = parser.parse_args()
    names = [name.strip() for name in arguments.only.split(";")] if arguments.only else list(ALL)
    if arguments.processes > 1:
        names = [name for name in names if name in SCALES]
    print(_machine(arguments.processes))
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        bench = Bench(Path(folder), arguments)
        for name in names:
            bench.measure(name)
        bench.report()
    if arguments.json:
        arguments.json.write_text(json.dumps(bench.rows, indent=1))
    sys.exit(1 if bench.wrong else 0)


def _machine(processes: int) -> str:
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    # Debian's packages are optimised by their own rules, of which the interpreter tells nothing.
    built = "with" if "--enable-optimizations" in options else "not configured with"
    server = os.environ.get("DATABASE_URL", "").rpartition("@")[2] or "the embedded server of the tests"
    return (
        f"{os.cpu_count()} cores, {platform.python_implementation()} {platform.python_version()} "
        f"({built} --enable-optimizations; {platform.python_compiler()}; from {sys.base_prefix}), "
        f"{processes} server process{'es' if processes > 1 else ''}, PostgreSQL: {server}\n"
    )


class Bench:
    """One run: the tools, and what was measured."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._folder = folder
        self._arguments = arguments
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.wrong = False
        for tool in ("upstream", "load"):
            subprocess.run(["cc", "-O2", "-o", str(folder / tool), str(HERE / f"{tool}.c")], check=True)

    def measure(self, name: str) -> None:
        """Every cell of one candidate."""
        with self._upstream() as upstream:
            try:
                with ALL[name](upstream, self._arguments.processes) as running:
                    for shape in self._arguments.shapes.split(","):
                        for clients in map(int, self._arguments.clients.split(",")):
                            self._cell(name, running, shape, clients)
                    if running.ask:
                        self._compare_books(name, running, upstream)
            except NotInstalled as error:
                self.notes.append(f"{name}: not measured: {error}")

    @contextmanager
    def _upstream(self) -> Iterator[str]:
        port = free_port()
        command = [str(self._folder / "upstream"), str(port), str(CHUNKS), str(self._arguments.pause)]
        with spawned(command) as process:
            wait_for(port, process)
            yield f"http://127.0.0.1:{port}"

    def _cell(self, name: str, running: Running, shape: str, clients: int) -> None:
        body = {
            "model": running.model,
            "user": "%USER%",
            "messages": [{"role": "user", "content": "Say hello to the bench, please."}],
            "max_tokens": 64,
        }
        if shape == "streamed":
            body["stream"] = True
        file = self._folder / "body.json"
        file.write_text(json.dumps(body, separators=(",", ":")))
        self._load(running, file, clients, 1.0)
        before = _cpu(running.pids)
        told = self._load(running, file, clients, self._arguments.seconds)
        spent = _cpu(running.pids) - before
        self.rows.append(
            {
                "shape": shape,
                "clients": clients,
                "candidate": name,
                "rate": told["requests"] / told["seconds"],
                "cpu_us": spent / max(told["all"], 1) * 1e6,
                "mb": sum(map(_resident, _family(running.pids))) / 1e6,
                "end": told["end"],
                "first": told["first"],
                "failed": told["failed"],
            }
        )
        print(
            f"  {name}: {shape}, {clients} clients: {self.rows[-1]['rate']:,.0f}/s",
            file=sys.stderr,
            flush=True,
        )

    def _load(self, running: Running, body: Path, clients: int, seconds: float) -> dict[str, Any]:
        command = [
            str(self._folder / "load"),
            f"127.0.0.1:{running.port}",
            running.path,
            str(body),
            str(clients),
        ]
        command += [
            str(seconds),
            str(running.wallets),
            *(f"{key}: {value}" for key, value in running.headers.items()),
        ]
        spread = 0 if self._arguments.together else self._arguments.pause * CHUNKS
        done = subprocess.run(
            command,
            env={**os.environ, "LOAD_SPREAD_MS": str(spread)},
            check=True,
            capture_output=True,
            text=True,
        )
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def _compare_books(self, name: str, running: Running, upstream: str) -> None:
        assert running.ask
        books = running.ask("settled")
        with urlopen(f"{upstream}/stats") as answer:
            seen = json.load(answer)
        answers = seen["plain"] + seen["streams"]
        nano = answers * prices.charge(seen["prompt_tokens"], seen["completion_tokens"])
        proof = running.ask("verify")
        agree = books == {"charges": answers, "nano": nano} and proof["ok"]
        self.wrong |= not agree
        self.notes.append(
            f"{name}: {books['charges']:,} charges of {books['nano']:,} nano-dollars; the provider counted {answers:,} "
            f"answers worth {nano:,}; verify_ledger {'passes' if proof['ok'] else 'FAILS: ' + proof['said']}"
            + ("" if agree else "  <-- THE BOOKS DIFFER")
        )

    def report(self) -> None:
        """The table."""
        base = {
            (row["shape"], row["clients"]): row["rate"]
            for row in self.rows
            if row["candidate"] == "pass-through"
        }
        head = (
            "candidate",
            "req/s",
            "ratio",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "first p50",
            "first p99",
            "CPU us",
            "MB",
            "failed",
        )
        order = sorted({(row["shape"], row["clients"]) for row in self.rows})
        for shape, clients in order:
            print(f"\n{shape}, {clients} client{'s' if clients > 1 else ''}")
            print(f"  {head[0]:<22}" + "".join(f"{title:>11}" for title in head[1:]))
            for row in self.rows:
                if (row["shape"], row["clients"]) != (shape, clients):
                    continue
                ratio = row["rate"] / base[shape, clients] if base.get((shape, clients)) else None
                times = [
                    row["end"]["p50"],
                    row["end"]["p90"],
                    row["end"]["p99"],
                    row["first"]["p50"],
                    row["first"]["p99"],
                ]
                print(
                    f"  {row['candidate']:<22}{row['rate']:>11,.0f}"
                    + (f"{ratio:>11.2f}" if ratio else f"{'':>11}")
                    + "".join(f"{value / 1000:>11.2f}" for value in times)
                    + f"{row['cpu_us']:>11.0f}{row['mb']:>11.0f}{row['failed']:>11}"
                )
        print()
        for note in self.notes:
            print(note)


def _family(pids: list[int]) -> list[int]:
    """The processes and all their descendants."""
    found = list(pids)
    for pid in found:
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
    return found


def _cpu(pids: list[int]) -> float:
    """CPU seconds that the processes and their descendants used."""
    total = 0
    for pid in _family(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


if __name__ == "__main__":
    main()
