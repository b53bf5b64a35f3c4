"""The SQL of posting. Every statement handles a whole batch: its parameters are arrays, its rows come by unnest()."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from config.sql import Statement


def _columns(rows: Iterable[Sequence[Any]], width: int) -> tuple[list[Any], ...]:
    """Rows turned into the arrays that unnest() wants."""
    return tuple(map(list, zip(*rows, strict=True))) or tuple([] for _ in range(width))


# --- Wallets of end users --------------------------------------------------------------------------------


def wallets_of(refs: Sequence[tuple[uuid.UUID, str]]) -> Statement:
    """Rows (paywall id, external id, account id) of the end users that have a wallet."""
    return Statement(
        """
        SELECT u.paywall_id, u.external_id, a.id
        FROM unnest(%s::uuid[], %s::text[]) AS ref(paywall_id, external_id)
        JOIN paywalls_enduser u USING (paywall_id, external_id)
        JOIN ledger_account a ON a.user_id = u.id
        """,
        _columns(refs, 2),
    )


def insert_accounts(rows: Iterable[tuple[uuid.UUID, uuid.UUID, str, uuid.UUID | None]]) -> Statement:
    """Make accounts of (id, tenant id, kind, user id); those that exist stay as they are."""
    return Statement(
        """
        INSERT INTO ledger_account (id, tenant_id, kind, user_id, posted, held, version)
        SELECT id, tenant_id, kind, user_id, 0, 0, 0
        FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[]) AS new(id, tenant_id, kind, user_id)
        ON CONFLICT DO NOTHING
        """,
        _columns(sorted(rows, key=lambda row: (row[1], row[2], str(row[3]))), 4),
        returns=False,
    )


# --- Reading what a batch needs --------------------------------------------------------------------------


def lock_accounts(account_ids: Collection[uuid.UUID]) -> Statement:
    """Lock the wallets in id order: the one lock order there is, so that batches can't deadlock.

    NO KEY: transfers that name the account as a foreign key need not wait. Rows: (id, tenant id, posted, held,
    version, next expiry, the database's clock); the clock is read after the lock was granted.
    """
    return Statement(
        """
        SELECT id, tenant_id, posted, held, version, next_expiry, clock_timestamp()
        FROM ledger_account WHERE id = ANY(%s::uuid[]) AND kind = 'wallet'
        ORDER BY id FOR NO KEY UPDATE
        """,
        (sorted(account_ids),),
    )


def live_lots(account_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (account id, lot id, kind, amount, remaining, created at, expires at) of the accounts' live lots."""
    return Statement(
        """
        SELECT account_id, id, kind, amount, remaining, created_at, expires_at
        FROM ledger_lot WHERE remaining > 0 AND account_id = ANY(%s::uuid[])
        """,
        (list(account_ids),),
    )


def holds(hold_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (id, account id, amount, state, captured, deadline has passed). The account's lock guards them."""
    return Statement(
        """
        SELECT id, account_id, amount, state, captured, expires_at <= clock_timestamp()
        FROM ledger_hold WHERE id = ANY(%s::uuid[])
        """,
        (list(hold_ids),),
    )


def transfers_of(sources: Collection[str]) -> Statement:
    """What the sources have moved before: (source, id, wallet id, kind, signed amount, before, after, metadata)."""
    return Statement(
        """
        SELECT source, id, wallet_id, kind, balance_after - balance_before, balance_before, balance_after,
            metadata::text
        FROM ledger_transfer WHERE source = ANY(%s::text[])
        """,
        (list(sources),),
    )


# --- Writing what a batch did ----------------------------------------------------------------------------


def update_accounts(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, posted, held, version, next expiry)"""
    return Statement(
        """
        UPDATE ledger_account a
        SET posted = new.posted, held = new.held, version = new.version, next_expiry = new.next_expiry
        FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
            AS new(id, posted, held, version, next_expiry)
        WHERE a.id = new.id
        """,
        _columns(rows, 5),
        returns=False,
    )


def insert_holds(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, account id, amount, state, captured, expires at)"""
    return Statement(
        """
        INSERT INTO ledger_hold (id, account_id, amount, state, captured, expires_at)
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::text[], %s::bigint[], %s::timestamptz[])
        """,
        _columns(rows, 6),
        returns=False,
    )


def update_holds(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, state, captured)"""
    return Statement(
        """
        UPDATE ledger_hold h SET state = new.state, captured = new.captured
        FROM unnest(%s::uuid[], %s::text[], %s::bigint[]) AS new(id, state, captured)
        WHERE h.id = new.id
        """,
        _columns(rows, 3),
        returns=False,
    )


def insert_transfers(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, tenant, kind, source, debit, credit, amount, wallet, before, after, version, request, lots, metadata)"""
    return Statement(
        """
        INSERT INTO ledger_transfer (id, tenant_id, kind, source, debit_account_id, credit_account_id, amount,
            wallet_id, balance_before, balance_after, version, request_id, lots, metadata)
        SELECT id, tenant, kind, source, debit, credit, amount,
            wallet, before, after, version, request, lots::jsonb, metadata::jsonb
        FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::uuid[], %s::bigint[],
                %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::uuid[], %s::text[], %s::text[])
            AS new(id, tenant, kind, source, debit, credit, amount,
                wallet, before, after, version, request, lots, metadata)
        """,
        _columns(rows, 14),
        returns=False,
    )


def write_lots(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, account id, kind, amount, remaining, created at, expires at): new ones in, of known ones what remains."""
    return Statement(
        """
        INSERT INTO ledger_lot (id, account_id, kind, amount, remaining, created_at, expires_at)
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::bigint[],
            %s::timestamptz[], %s::timestamptz[])
        ON CONFLICT (id) DO UPDATE SET remaining = excluded.remaining
        """,
        _columns(rows, 7),
        returns=False,
    )
