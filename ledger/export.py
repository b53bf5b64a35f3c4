"""The ledger as a file: every transfer of a date range, oldest first, in memory that doesn't grow with it.

Read in pages by key. No transaction stays open between them, so that a slow reader keeps nothing in the database from
being cleaned up; transfers never change, so pages of different moments fit together.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from config import ids, money
from config.spreadsheet import csv_line, harmless
from ledger import queries
from ledger.models import Transfer
from paywalls.models import Paywall
from paywalls.users import UserRef

# Rows read at a time, and written in one chunk.
PAGE = 1_000

COLUMNS = (
    "activity_id",
    "created_at",
    "kind",
    "user",
    "amount",
    "amount_nano",
    "balance_before",
    "balance_after",
    "debit_account",
    "credit_account",
    "request_id",
    "reverses",
    "source",
    "metadata",
)

_TEXTS = ("user", "source", "metadata")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which transfers: a tenant's, or one of its paywalls'; from `since` (included) to `until` (not).

    A paywall in shared mode has no wallets: its transfers are the charges and refunds that it caused on its users'
    wallets, without the balances of those, which are the people's own.
    """

    tenant_id: uuid.UUID
    paywall_id: uuid.UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


def chunks(selection: Selection, format: str) -> Iterator[bytes]:
    """The file in UTF-8, a page of rows at a time; `format` is "csv" (with a header line) or "jsonl"."""
    if format == "csv":
        yield csv_line(COLUMNS)
    write = _csv if format == "csv" else _jsonl
    for page in _pages(selection):
        yield write(page)


USER_COLUMNS = ("activity_id", "created_at", "kind", "amount", "request_id", "reverses", "source", "metadata")


def of_user(user: UserRef) -> Iterator[bytes]:
    """All transfers of one end user as CSV, newest first; in shared mode those that their paywall caused."""
    yield csv_line(USER_COLUMNS)
    before: int | None = None
    while True:
        page = queries.transactions_of(user, limit=PAGE, before=before)
        yield b"".join(csv_line(_of_user(transfer)) for transfer in page.transfers)
        if page.next is None:
            return
        before = page.next


def _of_user(transfer: Transfer) -> tuple[str, ...]:
    return (
        transfer.public_id,
        transfer.created_at.isoformat(),
        transfer.kind,
        money.plain(transfer.balance_after - transfer.balance_before),
        ids.public("request", transfer.request_id) if transfer.request_id else "",
        ids.public("activity", transfer.reverses_id) if transfer.reverses_id else "",
        harmless(transfer.source),
        harmless(orjson.dumps(transfer.metadata).decode()),
    )


def _pages(selection: Selection) -> Iterator[list[dict[str, Any]]]:
    # `until` is fixed at the start: an export ends, however fast money moves meanwhile.
    last: tuple[datetime, uuid.UUID] | None = None
    until = selection.until
    of = Paywall.objects.filter(pk=selection.paywall_id) if selection.paywall_id else Paywall.objects.none()
    shared = of.filter(mode=Paywall.Mode.SHARED).exists()
    while True:
        with connection.cursor() as cursor:
            if until is None:
                cursor.execute("SELECT clock_timestamp()")
                [(until,)] = cursor.fetchall()
            cursor.execute(*_page_query(selection, until, last, shared=shared))
            rows = cursor.fetchall()
        if rows:
            yield [_record(row) for row in rows]
        if len(rows) < PAGE:
            return
        last = (rows[-1][1], rows[-1][0])


# A wallet's transfers, and its end user.
_OF_WALLETS = """
    ledger_transfer t
    JOIN ledger_account w ON w.id = t.wallet_id
    LEFT JOIN paywalls_enduser u ON u.id = w.user_id
"""
# What a paywall in shared mode caused, and its own end user for whom somebody's wallet paid.
_OF_CONNECTIONS = """
    ledger_split s
    JOIN paywalls_connection n ON n.id = s.connection_id
    JOIN paywalls_enduser u ON u.id = n.user_id
    JOIN ledger_transfer t ON t.id = s.transfer_id
"""


def _page_query(
    selection: Selection, until: datetime, last: tuple[datetime, uuid.UUID] | None, *, shared: bool
) -> tuple[str, list[Any]]:
    tables, key, first = (_OF_CONNECTIONS, "s.transfer_id", "s") if shared else (_OF_WALLETS, "t.id", "t")
    where, params = [f"{first}.tenant_id = %s", f"{first}.created_at < %s"], [selection.tenant_id, until]
    if selection.paywall_id is not None:
        where.append("u.paywall_id = %s")
        params.append(selection.paywall_id)
    if last is not None:
        where.append(f"{first}.created_at >= %s AND ({first}.created_at, {key}) > (%s, %s)")
        params += [last[0], *last]
    elif selection.since is not None:
        where.append(f"{first}.created_at >= %s")
        params.append(selection.since)
    balances = "NULL::bigint, NULL::bigint" if shared else "t.balance_before, t.balance_after"
    return (
        f"""
        SELECT t.id, t.created_at, t.kind, u.external_id, t.balance_after - t.balance_before, {balances},
            d.kind, c.kind, t.request_id, t.reverses_id, t.source, t.metadata::text
        FROM {tables}
        JOIN ledger_account d ON d.id = t.debit_account_id
        JOIN ledger_account c ON c.id = t.credit_account_id
        WHERE {" AND ".join(where)}
        ORDER BY {first}.created_at, {key} LIMIT {PAGE}
        """,  # noqa: S608  (no value of anybody's)
        params,
    )


def _record(row: tuple[Any, ...]) -> dict[str, Any]:
    key, created, kind, user, change, before, after, debit, credit, request, reverses, source, metadata = row
    values = (
        ids.public("activity", key),
        created.isoformat(),
        kind,
        user or "",
        money.plain(change),
        str(change),
        "" if before is None else money.plain(before),
        "" if after is None else money.plain(after),
        debit,
        credit,
        ids.public("request", request) if request else "",
        ids.public("activity", reverses) if reverses else "",
        source,
        metadata,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _csv(records: list[dict[str, Any]]) -> bytes:
    return b"".join(
        csv_line(harmless(value) if name in _TEXTS else value for name, value in record.items())
        for record in records
    )


def _jsonl(records: list[dict[str, Any]]) -> bytes:
    exact = ({**record, "metadata": orjson.Fragment(record["metadata"])} for record in records)
    return b"".join(orjson.dumps(record) + b"\n" for record in exact)
