"""The memory of requests to models: its rows, and how they are written. Never what was asked or answered.

A request's row rides in the transaction of its settlement: `posting` writes those of a batch with one statement, as it
writes every table. Rows of one table are always written in the order of their keys, so that two writers can't deadlock.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.utils import timezone

from config.sql import Statement, array, of_rows
from ledger.models import RequestKey

# How long an Idempotency-Key of a request is known, and its answer kept.
KEYS_KEPT = timedelta(hours=24)
# Rows removed in one transaction.
FORGET_BATCH = 5_000


class RequestFacts(NamedTuple):
    """A row of ProxyRequest, column by column. Amounts are nano-dollars, times milliseconds."""

    id: uuid.UUID
    created_at: datetime
    paywall_id: uuid.UUID
    external_id: str
    model: str
    provider: str
    upstream_model: str
    surface: str
    status: str
    reason: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    images: int
    cost: int | None
    charge: int
    estimated: bool
    first_byte_ms: int | None
    total_ms: int | None
    attempts: int
    http_status: int | None
    streamed: bool
    upstream_request_id: str

    @classmethod
    def read(cls, stored: dict[str, Any]) -> "RequestFacts":
        """The facts that were kept as JSON."""
        typed = {
            "id": uuid.UUID(stored["id"]),
            "paywall_id": uuid.UUID(stored["paywall_id"]),
            "created_at": datetime.fromisoformat(stored["created_at"]),
        }
        return cls(**{**stored, **typed})


_COLUMNS = ", ".join(RequestFacts._fields)
_TYPES = {
    "id": "uuid",
    "created_at": "timestamptz",
    "paywall_id": "uuid",
    "cost": "bigint",
    "charge": "bigint",
} | dict.fromkeys(
    (
        "external_id",
        "model",
        "provider",
        "upstream_model",
        "surface",
        "status",
        "reason",
        "upstream_request_id",
    ),
    "text",
)
_TYPES |= dict.fromkeys(("estimated", "streamed"), "boolean")
_NEW = ", ".join(f"{name} {_TYPES.get(name, 'integer')}" for name in RequestFacts._fields)
_INSERT = f"INSERT INTO ledger_proxyrequest ({_COLUMNS}) SELECT * FROM new({_NEW}) ON CONFLICT"  # noqa: S608
# When it came, for whom and where to was known from the start.
_KNOWN = {"id", "created_at", "paywall_id", "external_id", "surface", "streamed"}
_SETTLED = ", ".join(f"{name} = excluded.{name}" for name in RequestFacts._fields if name not in _KNOWN)
_CORRECT = f"{_INSERT} (id) DO UPDATE SET {_SETTLED}"
_NOTE = f"{_INSERT} DO NOTHING"


def settled(rows: Iterable[RequestFacts]) -> Statement:
    """Requests as they ended; a row that said something else before is corrected."""
    return of_rows(_CORRECT, _in_order(rows))


def noted(rows: Iterable[RequestFacts]) -> Statement:
    """Requests that are under way or never held anything; where a settlement was faster its row stays."""
    return of_rows(_NOTE, _in_order(rows))


def _in_order(rows: Iterable[RequestFacts]) -> list[RequestFacts]:
    return sorted(rows, key=attrgetter("id.int"))


def lost(hold_ids: Collection[uuid.UUID]) -> Statement:
    """The requests of holds that expired: nobody knows how they ended."""
    return Statement(
        """
        INSERT INTO ledger_proxyrequest (id, created_at, paywall_id, external_id, model, provider, upstream_model,
            surface, status, reason, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
            reasoning_tokens, images, cost, charge, estimated, attempts, streamed, upstream_request_id)
        SELECT id, created_at, (about ->> 'paywall')::uuid, about ->> 'user', about ->> 'model', '', '',
            about ->> 'surface', 'lost', 'process_died', 0, 0, 0, 0, 0, 0, NULL, 0, false, 0,
            (about -> 'streamed')::boolean, ''
        FROM ledger_hold WHERE id = ANY(%s::uuid[]) AND about ? 'paywall' ORDER BY id
        ON CONFLICT (id) DO UPDATE SET status = 'lost', reason = excluded.reason
        WHERE ledger_proxyrequest.status = 'started'
        """,
        (array(hold_ids),),
        returns=False,
    )


def charged_late(rows: Iterable[tuple[uuid.UUID, int]]) -> Statement:
    """(id, charge) of lost requests of which only the charge became known."""
    return of_rows(
        """
        UPDATE ledger_proxyrequest r SET charge = new.charge
        FROM new(id uuid, charge bigint) WHERE r.id = new.id
        """,
        rows,
    )


def note(rows: Iterable[RequestFacts]) -> None:
    """Write rows of requests that ride in no settlement, in a transaction of their own."""
    statement = noted(rows)
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.params)


# --- Forgetting ------------------------------------------------------------------------------------------


def forget_old() -> int:
    """Remove a batch of rows that are older than REQUEST_RETENTION_DAYS; how many."""
    return _forget("ledger_proxyrequest", timezone.now() - timedelta(days=settings.REQUEST_RETENTION_DAYS))


def forget_keys() -> int:
    """Remove a batch of keys, with their answers, that are older than a day; how many."""
    return _forget(RequestKey._meta.db_table, timezone.now() - KEYS_KEPT)


def _forget(table: str, before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE created_at < %s"  # noqa: S608
            " ORDER BY created_at LIMIT %s)",
            [before, FORGET_BATCH],
        )
        return cursor.rowcount
