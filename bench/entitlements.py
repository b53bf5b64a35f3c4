"""How long an entitlement check takes with a million usage events stored, side by side with a bare endpoint.

    .venv/bin/python bench/entitlements.py [--events 1000000] [--clients 50] [--seconds 10] [--pause 0]

One server process on a scratch database; the clients are connections of another process that each ask again as soon as
they are answered, or after a pause. The bare endpoint reads the body as JSON and answers a constant, on the same server
software. Also: the first roll-up of all those events, and what the analytics queries take then.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cpu import cpu_of, cpu_of_database
from scratch import scratch_database

ROOT = Path(__file__).resolve().parent.parent
USERS = 1_000
CHUNK = 100_000

BARE = """
import socket
import sys

import orjson
import uvicorn


async def application(scope, receive, send):
    orjson.loads((await receive())["body"])
    body = b'{"allowed":true}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


config = uvicorn.Config(application, loop="uvloop", http="httptools", lifespan="off", access_log=False)
uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pause", type=float, default=0, help="ms between an answer and the next question")
    arguments = parser.parse_args()
    with scratch_database():
        key, tenant_id = seed(arguments.events)
        rolled_up(tenant_id)
        rows = []
        for name, command in {
            "bare": [sys.executable, "-c", BARE],
            "check": [sys.executable, "-m", "config.serve.web"],
        }.items():
            with serving(command) as (port, pid):
                load(port, key, arguments.clients, 1.0)
                before = cpu_of(pid), cpu_of_database()
                times = load(port, key, arguments.clients, arguments.seconds, arguments.pause)
                rows.append((name, times, cpu_of(pid) - before[0], cpu_of_database() - before[1]))
    print(f"\n{arguments.clients} clients, {arguments.events:,} events stored")
    print(
        f"{'':>8} {'a second':>10} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}  us of CPU: server, PostgreSQL"
    )
    for name, times, server, database in rows:
        cuts = statistics.quantiles(times, n=100)
        rate = len(times) / arguments.seconds
        each = f"{server / len(times) * 1e6:>17.0f} {database / len(times) * 1e6:>11.0f}"
        print(f"{name:>8} {rate:>10,.0f} {cuts[49]:>8.2f} {cuts[94]:>8.2f} {cuts[98]:>8.2f} {each}")


def seed(events: int) -> tuple[str, object]:
    """A tenant with so many events of many users over 30 days, each with a wallet and a limit; its key."""
    from django.db import connection

    from ledger.models import Entitlement
    from ledger.operations import Credit
    from ledger.posting import post
    from paywalls import services, tenantkeys, tenants
    from paywalls.users import UserRef

    tenant = services.create_tenant(name="Bench", email="bench@bench.test")
    home = tenants.home_of(tenant)
    credits = [
        Credit(UserRef(home.pk, f"user-{n}"), 10**12, f"d:{n}", "deposit", "deposits") for n in range(USERS)
    ]
    post(credits)
    Entitlement.objects.create(
        tenant=tenant, feature_id="chat", limit_type="HARD", limit_value=10**9, period="MONTHLY"
    )
    began = time.perf_counter()
    for start in range(0, events, CHUNK):
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO ledger_usageevent (id, tenant_id, wallet_id, user_id, event_id, batch_id, timestamp,
                    event_type, feature_id, provider, model, input_tokens, cache_read_tokens, cache_write_tokens,
                    output_tokens, images, image_size, quality, unit_type, quantity, metadata, state, amount, cost)
                SELECT gen_random_uuid(), %s, a.id, u.id, gen_random_uuid(), gen_random_uuid(),
                    now() - (n %% 43200) * interval '1 minute', 'TOKEN_USAGE', 'chat', 'OPENAI',
                    'model-' || n %% 5, 900, 100, 0, 300, 0, '', '', '', 0, '{}', 'billed', 2000, 1500
                FROM generate_series(%s, %s) n
                JOIN paywalls_enduser u ON u.external_id = 'user-' || n %% %s
                JOIN ledger_account a ON a.user_id = u.id
                """,
                [tenant.pk, start, min(start + CHUNK, events) - 1, USERS],
            )
    print(
        f"seeded {events:,} events in {time.perf_counter() - began:.1f} s, increments and counters with them"
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return tenantkeys.issue(tenant)[1], tenant.pk


def rolled_up(tenant_id: object) -> None:
    """Print what the roll-up of everything takes, and the queries on it."""
    from datetime import UTC, datetime, timedelta

    from ledger.analytics import overview, queries, reports, rollups
    from ledger.analytics.payers import payers
    from ledger.models import UsageDay, UsageHour

    began = time.perf_counter()
    total = rollups.roll_up_all()
    print(f"rolled up {total:,} increments in {time.perf_counter() - began:.1f} s: ", end="")
    print(f"{UsageHour.objects.count():,} hours, {UsageDay.objects.count():,} users' days")
    now = datetime.now(UTC)
    month = queries.Selection([tenant_id], *queries.whole_hours(now - timedelta(days=31), now))
    for name, ask in {
        "usage": lambda: reports.usage(month, 1_000, "day"),
        "costs": lambda: reports.costs(month),
        "summary": lambda: reports.summary(tenant_id, 1_000, now),
        "payers": lambda: payers(
            [tenant_id], overview.period(now.date() - timedelta(days=30), now.date(), now)
        ),
    }.items():
        ask()
        began = time.perf_counter()
        ask()
        print(f"{name:>14}: {(time.perf_counter() - began) * 1000:6.1f} ms")


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[int, int]]:
    """A server process on the scratch database; its port and process id."""
    from django.db import connection

    found = connection.settings_dict
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        port = listener.getsockname()[1]
        environment = {
            **os.environ,
            "DATABASE_URL": f"postgres://{found['USER']}:{found['PASSWORD']}@{_address(found)}/{found['NAME']}",
            "RATE_LIMIT_PER_MINUTE": "0",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        fd = listener.fileno()
        server = subprocess.Popen(
            [*command, "--fd", str(fd)], cwd=ROOT, env=environment, pass_fds=[fd], stderr=subprocess.DEVNULL
        )
        listener.close()
        try:
            yield port, server.pid
        finally:
            server.terminate()
            server.wait()


def _address(found: dict) -> str:
    return found["HOST"] if found["HOST"].startswith("/") else f"{found['HOST']}:{found['PORT'] or 5432}"


def load(port: int, key: str, clients: int, seconds: float, pause: float = 0) -> list[float]:
    """What each request took (ms), of so many clients that ask again and again, in a process of their own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_clients, (port, key, clients, seconds, pause))


def _clients(port: int, key: str, clients: int, seconds: float, pause: float) -> list[float]:
    import uvloop

    times: list[float] = []

    async def client(number: int, end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asked = number
        while time.perf_counter() < end:
            asked += clients
            body = (
                f'{{"userId":"user-{asked % USERS}","featureId":"chat","action":{{"type":"token_usage",'
                '"provider":"openai","model":"gpt-4o","estimated_input_tokens":1000}}'
            ).encode()
            body = body.rstrip(b"}") + b"}}"
            began = time.perf_counter()
            writer.write(
                b"POST /v1/entitlements/check HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer %s\r\n"
                b"content-length: %d\r\n\r\n%s" % (key.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            times.append((time.perf_counter() - began) * 1000)
            assert b'"allowed":true' in answer, answer
            if pause:
                await asyncio.sleep(pause / 1_000)
        writer.close()

    async def run() -> None:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(client(number, end) for number in range(clients)))

    uvloop.run(run())
    return times


if __name__ == "__main__":
    main()
