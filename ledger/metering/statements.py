"""The SQL of reported usage. Every statement handles a whole batch, as in `ledger/statements.py`."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from operator import itemgetter
from typing import Any

from config.sql import Statement, array
from webhooks.outbox import LIVE


def known(tenant_id: uuid.UUID, event_ids: Collection[str], keys: Collection[str]) -> Statement:
    """Rows (event id as text, idempotency key) of the tenant's events that have one of these."""
    text = """
        SELECT event_id::text, idempotency_key FROM ledger_usageevent
        WHERE tenant_id = %s AND event_id = ANY(%s::uuid[])
        """
    if not keys:
        # What is true for no row implies the condition of any partial index: PostgreSQL would read the tenant's part of
        # the one that looks smallest, such as all events that have a key.
        return Statement(text, (tenant_id, array(event_ids)))
    text += """
        UNION ALL
        SELECT event_id::text, idempotency_key FROM ledger_usageevent
        WHERE tenant_id = %s AND idempotency_key IS NOT NULL AND idempotency_key = ANY(%s::text[])
        """
    return Statement(text, (tenant_id, array(event_ids), tenant_id, array(keys)))


def burn_tables(tenant_id: uuid.UUID) -> Statement:
    """Rows (id, rules as JSON text, valid from, valid until) of the tenant's active versions, newest first."""
    return Statement(
        """
        SELECT id, rules::text, valid_from, valid_until FROM ledger_burntable
        WHERE tenant_id = %s AND is_active ORDER BY version DESC
        """,
        (tenant_id,),
    )


def listened(tenant_id: uuid.UUID) -> Statement:
    """One row: whether anybody listens to what happens at the tenant's home, where its usage is told."""
    return Statement(
        f"""
        SELECT EXISTS (
            SELECT FROM paywalls_paywall p JOIN webhooks_subscription s ON s.paywall_id = p.id
            WHERE p.tenant_id = %s AND p.is_home AND {LIVE}
        )
        """,  # noqa: S608  (no value of anybody's)
        (tenant_id,),
    )


def insert_events(tenant_id: uuid.UUID, batch_id: uuid.UUID, rows: Iterable[Sequence[Any]]) -> Statement:
    """The events of a batch; `rows` are as the columns, `quantity` in billionths.

    Inserted by event id, which is the fourth of them, so that batches can't deadlock.
    """
    ordered = sorted(rows, key=itemgetter(4))
    return Statement(
        """
        INSERT INTO ledger_usageevent (tenant_id, batch_id, id, wallet_id, user_id, team_id, event_id,
            idempotency_key, timestamp, event_type, feature_id, provider, model, input_tokens, cache_read_tokens,
            cache_write_tokens, output_tokens, images, image_size, quality, unit_type, quantity, metadata, state,
            amount, cost, burn_table)
        SELECT %s, %s, id, wallet, usr, team, event, key, at, type, feature, provider, model, input,
            cache_read, cache_write, output, images, image_size, quality, unit_type, quantity / 1000000000.0,
            metadata::jsonb, state, amount, cost, burn_table
        FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[],
                %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::numeric[],
                %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::uuid[])
            AS new(id, wallet, usr, team, event, key, at, type, feature, provider, model, input,
                cache_read, cache_write, output, images, image_size, quality, unit_type, quantity, metadata, state,
                amount, cost, burn_table)
        """,
        (tenant_id, batch_id, *map(array, zip(*ordered, strict=True))),
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
