"""The server of `bench/metering.py`: the product on the scratch database, or a bare endpoint beside it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# As `config/asgi.py` has it, which comes too late here: without a pool each request connects anew.
os.environ.setdefault("DATABASE_POOL", "8")

from django.conf import settings

settings.DATABASES["default"]["NAME"] = os.environ["BENCH_DATABASE"]

from config.asgi import application as product  # noqa: E402  (after the database is named)


async def bare(scope, receive, send):
    """Parse a batch and insert its rows: what any endpoint has to do at the least."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    from config.db import in_thread

    await in_thread(insert, body)
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def insert(body):
    """The rows of a batch, in one statement and one durable transaction."""
    import uuid

    import orjson
    from django.db import transaction

    from config import ids
    from ledger.metering.statements import insert_events
    from ledger.posting import cursor_of_batches

    tenant = uuid.UUID(os.environ["BENCH_TENANT"])
    events = orjson.loads(body)["events"]
    rows = [
        (
            key, tenant, None, None, one["event_id"], None, one["timestamp"], one["event_type"], one["feature_id"],
            one["provider"], one["model"], one["input_tokens"], 0, 0, one["output_tokens"], 0, "", "", "", 0, "{}",
            "free", 0, 0, None,
        )
        for key, one in zip(ids.many(len(events)), events, strict=True)
    ]  # fmt: skip
    statement = insert_events(tenant, ids.new(), rows)
    with transaction.atomic(), cursor_of_batches() as cursor:
        cursor.execute(statement.text, statement.params)


application = bare if os.environ["BENCH_KIND"] == "bare" else product
