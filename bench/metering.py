"""How many reported events a second are kept, rated and burned: batches of 1,000 over HTTP, one server process.

    .venv/bin/python -m bench.metering [--batches 30] [--clients 4] [--stored 10000 1000000]

Beside it a bare endpoint that only parses the same bodies and inserts the same rows, without dedupe, price or wallet.
With `--stored` so many events are there before, and once more for each further number; the cost should not change. From
a million on it also says what the analytics take. Durable commits, on a scratch database.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import orjson
from cpu import cpu_of, cpu_of_database
from scratch import scratch_database

from bench.history import store

SIZE = 1_000
USERS = 500
# From so many stored events on the analytics are measured, too.
READ_FROM = 1_000_000
READS = (
    "/v1/analytics/usage?groupBy=day",
    "/v1/analytics/costs",
    "/v1/analytics/cost-breakdown",
    "/v1/analytics/usage-trends",
    "/v1/analytics/burn-rate",
    "/v1/analytics/burn-forecast",
    "/v1/analytics/summary",
    "/v1/events?limit=50",
    "/v1/users/user-1/transactions?limit=50",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--stored", type=int, nargs="*", default=[0], help="events that are there before")
    arguments = parser.parse_args()
    os.environ.setdefault("RATE_LIMIT_PER_MINUTE", "0")
    with scratch_database():
        tenant, key = make_tenant()
        print(
            f"{arguments.clients} clients, batches of {SIZE:,}; us of CPU an event: the server's, PostgreSQL's"
        )
        print(f"{'stored':>12} {'':>24} {'events/s':>10} {'server':>8} {'database':>8}")
        show(0, "bare: parse and insert", *serve(tenant, key, "bare", arguments))
        before = 0
        for count in sorted(arguments.stored):
            if count > before:
                print(f"{count - before:,} more events stored in {store(tenant, before, count):.0f} s")
            before = count
            show(count, "ingest", *serve(tenant, key, "ingest", arguments))
            if count >= READ_FROM:
                read_back(tenant, key)


def show(stored, name, rate, server, database) -> None:
    """A row of the table."""
    print(f"{stored:>12,} {name:>24} {rate:>10,.0f} {server:>8.1f} {database:>8.1f}", flush=True)


def read_back(tenant, key):
    """Print what the reports take over HTTP, with the events that were touched for them, and the proof of the books."""
    import requests

    from ledger import verification

    with running(tenant, "ingest") as (port, _):
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {key}"
        for path in READS:
            times = []
            for _ in range(5):
                touched, began = rows_touched(), time.perf_counter()
                answer = session.get(f"http://127.0.0.1:{port}{path}", timeout=600)
                times.append((time.perf_counter() - began) * 1_000)
                answer.raise_for_status()
            rows = rows_touched() - touched
            print(f"{path:>50} {min(times):>8.1f} ms {rows:>10,} rows of events and transfers", flush=True)
    began = time.perf_counter()
    faults = list(verification.verify())
    print(f"verify_ledger: {time.perf_counter() - began:.0f} s, {len(faults)} faults", flush=True)


def rows_touched():
    """How many rows of events and transfers were read so far, by whatever way."""
    from django.db import connection

    # Backends tell the counts when they are idle, at most once a second.
    time.sleep(1.2)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
            WHERE relname IN ('ledger_usageevent', 'ledger_transfer')
            """
        )
        return cursor.fetchone()[0]


def make_tenant():
    """A tenant with funded users; its key's text."""
    from ledger import services
    from paywalls import services as paywalls
    from paywalls import tenantkeys
    from paywalls.tenants import home_of
    from paywalls.users import UserRef

    tenant = paywalls.create_tenant(name="Bench", email="bench@bench.test")
    home = home_of(tenant)
    for number in range(USERS):
        services.deposit(UserRef(home.pk, f"user-{number}"), 10**14, source=f"d:{number}")
    return tenant, tenantkeys.issue(tenant)[1]


def bodies(count):
    """Bodies of new events."""
    models = ("gpt-4o", "gpt-4o-mini")
    made = []
    for _ in range(count):
        events = [
            {
                "event_id": str(uuid.uuid4()),
                "event_type": "TOKEN_USAGE",
                "feature_id": "chat",
                "user_id": f"user-{random.randrange(USERS)}",
                "provider": "OPENAI",
                "model": random.choice(models),
                "input_tokens": random.randrange(5_000),
                "output_tokens": random.randrange(1_000),
                "timestamp": "2026-01-31T12:00:00Z",
            }
            for _ in range(SIZE)
        ]
        made.append(orjson.dumps({"events": events}))
    return made


def serve(tenant, key, kind, arguments):
    """(events a second, microseconds of the server's CPU an event, and of PostgreSQL's)."""
    with running(tenant, kind) as (port, pid):
        send(port, key, bodies(3), arguments.clients)
        work = bodies(arguments.batches)
        spent, started = (cpu_of(pid), cpu_of_database()), time.perf_counter()
        send(port, key, work, arguments.clients)
        seconds = time.perf_counter() - started
        server_cpu, database_cpu = cpu_of(pid) - spent[0], cpu_of_database() - spent[1]
    events = arguments.batches * SIZE
    return events / seconds, server_cpu / events * 1_000_000, database_cpu / events * 1_000_000


@contextmanager
def running(tenant, kind):
    """(port, process id) of a server on the scratch database."""
    from django.db import connection

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "BENCH_DATABASE": connection.settings_dict["NAME"],
        "BENCH_TENANT": str(tenant.pk),
        "BENCH_KIND": kind,
    }
    command = [sys.executable, "-m", "uvicorn", "bench.metering_app:application", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--log-level", "error"], env=environment, cwd=Path(__file__).resolve().parent.parent
    )
    try:
        wait_for(port)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait()


def send(port, key, work, clients):
    """Post the bodies, so many at a time."""
    import requests

    waiting = list(work)
    failed = []

    def client():
        session = requests.Session()
        while waiting:
            try:
                body = waiting.pop()
            except IndexError:
                return
            answer = session.post(
                f"http://127.0.0.1:{port}/v1/events/ingest",
                data=body,
                headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
                timeout=60,
            )
            if answer.status_code != 202:
                failed.append(answer.text[:500])

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(failed[0])


def wait_for(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the server didn't start")


if __name__ == "__main__":
    main()
