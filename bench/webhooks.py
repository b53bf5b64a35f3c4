"""How fast one worker delivers, and whether one endpoint that dribbles slows fifty that don't.

    DATABASE_URL=postgres://…/postgres .venv/bin/python -m bench.webhooks

It makes a database of its own on that server (the embedded one where none is named) and drops it. Everything stays on
this machine, and it ends by itself in about a minute.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django
from aiohttp import web

ENDPOINTS = 50


def receiver(port: Any, latencies: Any) -> None:
    """An endpoint that answers at once on `/well`, and a byte a second on `/tarpit`; a process of its own."""
    import orjson

    async def well(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        made = datetime.fromisoformat(body["event"]["createdAt"])
        latencies.append(time.time() - made.timestamp())
        return web.Response()

    async def tarpit(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):  # the worker's deadline cuts it
            for _ in range(60):
                await response.write(b".")
                await asyncio.sleep(1)
        return response

    async def stalled(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(60)
        return web.Response()

    async def serve() -> None:
        app = web.Application()
        app.add_routes([web.post("/well", well), web.post("/tarpit", tarpit), web.post("/stalled", stalled)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server
        port.value = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        await asyncio.sleep(600)

    asyncio.run(serve())


def main() -> None:
    """Run both measurements and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=4_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()

    manager = multiprocessing.Manager()
    latencies: Any = manager.list()
    port: Any = multiprocessing.Value("i", 0)
    process = multiprocessing.Process(target=receiver, args=(port, latencies), daemon=True)
    process.start()
    while not port.value:
        time.sleep(0.05)

    django.setup()
    from django.db import connection

    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    from django.conf import settings

    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    base = f"http://127.0.0.1:{port.value}"
    try:
        for endpoints in (1, 20):
            rate = throughput(base, endpoints, options.deliveries)
            print(f"one worker, {endpoints} fast endpoint(s): {rate:,.0f} deliveries/s")
        for kind in ("tarpit", "stalled"):
            del latencies[:]
            beside(base, kind, options.waiting, options.seconds)
            told = sorted(latencies)
            print(
                f"{ENDPOINTS} healthy beside one {kind} endpoint with {options.waiting:,} waiting: "
                f"{len(told):,} deliveries, p50 {statistics.median(told):.3f} s, "
                f"p95 {told[int(len(told) * 0.95)]:.3f} s, worst {told[-1]:.3f} s"
            )
    finally:
        process.terminate()
        connection.creation.destroy_test_db(name, verbosity=0)


def throughput(base: str, endpoints: int, deliveries: int) -> float:
    """Deliveries a second, from a table in which all of them wait."""
    from webhooks.models import Delivery

    courier = a_courier()
    queue_up(subscribed(f"{base}/well", endpoints), deliveries)
    started = time.monotonic()
    courier.run()
    seconds = time.monotonic() - started
    assert Delivery.objects.filter(state="succeeded").count() == deliveries
    clear()
    return deliveries / seconds


def beside(base: str, kind: str, waiting: int, seconds: float) -> None:
    """Emit an event for each of the healthy endpoints again and again while a long queue waits for a bad one."""
    from webhooks import outbox
    from webhooks.drafts import Draft, Subject

    healthy = subscribed(f"{base}/well", ENDPOINTS)
    queue_up(subscribed(f"{base}/{kind}", 1), waiting)
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(a_courier(), stop))
    worker.start()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for paywall_id, _ in healthy:
            outbox.emit(paywall_id, Draft("paywall.archived", {"reason": "bench"}, Subject("paywall", "pw")))
        time.sleep(0.25)
    time.sleep(2)
    stop.set()
    worker.join()
    clear()


def work(courier: Any, stop: threading.Event) -> None:
    """What a worker does: look each second, and at once where it is told (here every 50 ms)."""
    from django.db import connection

    threading.Thread(target=lambda: (stop.wait(), courier.stop()), daemon=True).start()
    while not stop.is_set():
        courier.run()
        time.sleep(0.05)
    connection.close()


def a_courier() -> Any:
    from django.conf import settings

    from webhooks.delivery import Courier

    return Courier(settings.WEBHOOK_SENDERS)


def subscribed(url: str, count: int) -> list[tuple[Any, Any]]:
    """(paywall id, subscription id) of new paywalls with an endpoint each."""
    from tests.factories import make_paywall
    from webhooks import services

    made = []
    for _ in range(count):
        paywall = make_paywall()
        made.append((paywall.pk, services.create(paywall.pk, url=url, events=["*"])[0].pk))
    return made


def queue_up(endpoints: list[tuple[Any, Any]], count: int) -> None:
    """Deliveries that wait, shared out among the endpoints."""
    from django.db import connection

    from config import ids
    from webhooks import outbox
    from webhooks.drafts import Draft, Subject
    from webhooks.models import Event

    draft = Draft("paywall.archived", {"reason": "bench"}, Subject("paywall", "pw"))
    events = []
    for paywall_id, _ in endpoints:
        outbox.emit(paywall_id, draft)
        events.append(Event.objects.filter(paywall_id=paywall_id).latest("id").pk)
    rows = [
        (ids.new(), events[index % len(endpoints)], endpoints[index % len(endpoints)][1])
        for index in range(count - len(endpoints))
    ]
    with connection.cursor() as cursor:
        statement = outbox.insert_deliveries(rows)
        cursor.execute(statement.text, statement.params)
        cursor.execute("ANALYZE webhooks_delivery")


def clear() -> None:
    from webhooks.models import Event, Subscription

    Event.objects.all().delete()
    Subscription.objects.all().delete()


if __name__ == "__main__":
    main()
