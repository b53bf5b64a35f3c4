"""How many reported events a second are kept, rated and burned: batches of 1,000 over HTTP, one server process.

    .venv/bin/python -m bench.metering [--batches 30] [--stored 0]

Beside it a bare endpoint that only parses the same bodies and inserts the same rows, without dedupe, price or wallet.
With `--stored` so many events are there before; the cost should not change. Durable commits, on a scratch database.
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import orjson
from scratch import scratch_database

SIZE = 1_000
USERS = 500
CLIENTS = 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--stored", type=int, default=0, help="events that are there before")
    arguments = parser.parse_args()
    os.environ.setdefault("RATE_LIMIT_PER_MINUTE", "0")
    with scratch_database():
        tenant, key = make_tenant()
        if arguments.stored:
            store(tenant, arguments.stored)
        rows = [
            ("bare: parse and insert", serve(tenant, key, "bare", arguments.batches)),
            ("ingest", serve(tenant, key, "ingest", arguments.batches)),
        ]
    print(f"{arguments.stored:,} events stored before, {CLIENTS} clients, batches of {SIZE:,}")
    for name, (rate, server, database) in rows:
        print(f"{name:>24} {rate:>10,.0f} events/s {server:>8.1f} us CPU of the server an event", end="")
        print(f" {database:>8.1f} of PostgreSQL" if database else "")


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


def store(tenant, count):
    """Events from before, without the triggers of the roll-ups: only their number matters here."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT id, user_id FROM ledger_account WHERE user_id IS NOT NULL LIMIT 1")
        wallet, user = cursor.fetchone()
        cursor.execute("SET session_replication_role = 'replica'")
        for start in range(0, count, 100_000):
            cursor.execute(
                """
                INSERT INTO ledger_usageevent (id, tenant_id, wallet_id, user_id, event_id, batch_id, timestamp,
                    event_type, feature_id, provider, model, input_tokens, cache_read_tokens, cache_write_tokens,
                    output_tokens, images, image_size, quality, unit_type, quantity, metadata, state, amount, cost)
                SELECT gen_random_uuid(), %s, %s, %s, gen_random_uuid(), gen_random_uuid(), now(), 'TOKEN_USAGE',
                    'chat', 'OPENAI', 'gpt-4o', 1000, 0, 0, 500, 0, '', '', '', 0, '{}', 'free', 0, 450000
                FROM generate_series(1, %s)
                """,
                [tenant.pk, wallet, user, min(100_000, count - start)],
            )
        cursor.execute("SET session_replication_role = 'origin'")
        cursor.execute("ANALYZE ledger_usageevent")


def serve(tenant, key, kind, batches):
    """(events a second, microseconds of the server's CPU an event, and of PostgreSQL's)."""
    from django.db import connection

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = connection.settings_dict
    environment = {
        **os.environ,
        "BENCH_DATABASE": settings["NAME"],
        "BENCH_TENANT": str(tenant.pk),
        "BENCH_KIND": kind,
    }
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "bench.metering_app:application",
            "--port",
            str(port),
            "--log-level",
            "error",
        ],
        env=environment,
        cwd=Path(__file__).resolve().parent.parent,
    )
    try:
        wait_for(port)
        send(port, key, bodies(3))
        work = bodies(batches)
        spent, started = (cpu_of(server.pid), cpu_of_database()), time.perf_counter()
        send(port, key, work)
        seconds = time.perf_counter() - started
        server_cpu, database_cpu = cpu_of(server.pid) - spent[0], cpu_of_database() - spent[1]
        events = batches * SIZE
        return events / seconds, server_cpu / events * 1_000_000, database_cpu / events * 1_000_000
    finally:
        server.terminate()
        server.wait()


def send(port, key, work):
    """Post the bodies, `CLIENTS` at a time."""
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

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
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


def cpu_of(pid):
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_database():
    """Seconds of CPU of the backends of this database; 0 where PostgreSQL runs on another machine."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        pids = [pid for (pid,) in cursor.fetchall() if pid != connection.connection.info.backend_pid]
    return sum(cpu_of(pid) for pid in pids if Path(f"/proc/{pid}").exists())


if __name__ == "__main__":
    main()
