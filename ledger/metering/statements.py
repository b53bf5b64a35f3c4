"""The SQL of reported usage. Every statement handles a whole batch, as in `ledger/statements.py`."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any

from config.sql import Statement, array


def known(tenant_id: uuid.UUID, event_ids: Collection[uuid.UUID], keys: Collection[str]) -> Statement:
    """Rows (event id, idempotency key) of the tenant's events that have one of these."""
    return Statement(
        """
        SELECT event_id, idempotency_key FROM ledger_usageevent
        WHERE tenant_id = %s AND event_id = ANY(%s::uuid[])
        UNION ALL
        SELECT event_id, idempotency_key FROM ledger_usageevent
        WHERE tenant_id = %s AND idempotency_key = ANY(%s::text[])
        """,
        (tenant_id, array(event_ids), tenant_id, array(keys)),
    )


def burn_tables(tenant_id: uuid.UUID) -> Statement:
    """Rows (id, rules as JSON text, valid from, valid until) of the tenant's active versions, newest first."""
    return Statement(
        """
        SELECT id, rules::text, valid_from, valid_until FROM ledger_burntable
        WHERE tenant_id = %s AND is_active ORDER BY version DESC
        """,
        (tenant_id,),
    )


def owners(account_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (account id, user id, team id)."""
    return Statement(
        "SELECT id, user_id, team_id FROM ledger_account WHERE id = ANY(%s::uuid[])", (array(account_ids),)
    )


COLUMNS = (
    "id, tenant_id, wallet_id, user_id, team_id, event_id, idempotency_key, batch_id, timestamp, event_type, "
    "feature_id, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, images, "
    "image_size, quality, unit_type, quantity, metadata, state, amount, cost, burn_table"
)


def insert_events(rows: Iterable[Sequence[Any]]) -> Statement:
    """Rows of COLUMNS; `quantity` in billionths. Inserted by event id, so that batches can't deadlock."""
    ordered = sorted(rows, key=lambda row: row[5])
    return Statement(
        f"""
        INSERT INTO ledger_usageevent ({COLUMNS})
        SELECT id, tenant, wallet, usr, team, event, key, batch, at, type, feature, provider, model, input,
            cache_read, cache_write, output, images, image_size, quality, unit_type, quantity / 1000000000.0,
            metadata::jsonb, state, amount, cost, burn_table
        FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::uuid[],
                %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::numeric[],
                %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::uuid[])
            AS new(id, tenant, wallet, usr, team, event, key, batch, at, type, feature, provider, model, input,
                cache_read, cache_write, output, images, image_size, quality, unit_type, quantity, metadata, state,
                amount, cost, burn_table)
        """,  # noqa: S608  (names of ours)
        tuple(map(array, zip(*ordered, strict=True))),
        returns=False,
    )


def count_month(row_id: uuid.UUID, tenant_id: uuid.UUID, month: date, events: int) -> Statement:
    """Count a batch in its month. One row (events of the month, these too).

    It comes last: who waits for the tenant's row waits only for a commit.
    """
    return Statement(
        """
        INSERT INTO ledger_usagemonth AS m (id, tenant_id, month, events) VALUES (%s, %s, %s, %s)
        ON CONFLICT (tenant_id, month) DO UPDATE SET events = m.events + excluded.events
        RETURNING events
        """,
        (row_id, tenant_id, month, events),
    )


def billable(tenant_id: uuid.UUID, limit: int) -> Statement:
    """Events of the tenant that are to be billed, oldest first, locked; rows for `billing.Waiting`."""
    return Statement(
        """
        SELECT id, wallet_id, state, amount, timestamp, provider, model, input_tokens, cache_read_tokens,
            cache_write_tokens, output_tokens, images, unit_type, (quantity * 1000000000)::bigint
        FROM ledger_usageevent WHERE tenant_id = %s AND state IN ('unbilled', 'unrated')
        ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
        """,
        (tenant_id, limit),
    )


def settle_events(rows: Iterable[Sequence[Any]]) -> Statement:
    """(id, state, amount, cost, burn table)"""
    return Statement(
        """
        UPDATE ledger_usageevent e
        SET state = new.state, amount = new.amount, cost = COALESCE(e.cost, new.cost),
            burn_table = COALESCE(e.burn_table, new.burn_table)
        FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::uuid[])
            AS new(id, state, amount, cost, burn_table)
        WHERE e.id = new.id
        """,
        tuple(map(array, zip(*rows, strict=True))),
        returns=False,
    )
