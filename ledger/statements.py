"""The SQL of posting. Every statement handles a whole batch: its parameters are arrays, its rows come by unnest()."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from config.sql import Statement, array


def _columns(rows: Iterable[Sequence[Any]], width: int) -> tuple[str, ...]:
    """Rows turned into the arrays that unnest() wants."""
    return tuple(map(array, zip(*rows, strict=True))) or ("{}",) * width


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
    """Lock the running accounts in id order: the one lock order there is, so that batches can't deadlock.

    NO KEY: transfers that name the account as a foreign key need not wait. Rows: (id, tenant id, posted, held,
    version, next expiry, day limit, month limit, window day, day used, month used, low balance, is low, the database's
    clock); the clock is read after the lock was granted.
    """
    return Statement(
        """
        SELECT id, tenant_id, posted, held, version, next_expiry, day_limit, month_limit, window_day, day_used,
            month_used, low_balance, is_low, clock_timestamp()
        FROM ledger_account WHERE id = ANY(%s::uuid[]) AND kind IN ('wallet', 'earnings')
        ORDER BY id FOR NO KEY UPDATE
        """,
        (array(sorted(account_ids)),),
    )


LOT_COLUMNS = "account_id, id, kind, amount, remaining, created_at, expires_at, priority"


def live_lots(account_ids: Collection[uuid.UUID]) -> Statement:
    """Rows of LOT_COLUMNS: the accounts' live lots."""
    return Statement(
        f"SELECT {LOT_COLUMNS} FROM ledger_lot WHERE remaining > 0 AND account_id = ANY(%s::uuid[])",  # noqa: S608
        (array(account_ids),),
    )


def lots_named_by(transfer_ids: Collection[uuid.UUID]) -> Statement:
    """Rows of LOT_COLUMNS: the lots that transfers went to or came from, also those that are burned to the end."""
    return Statement(
        f"""
        SELECT {LOT_COLUMNS} FROM ledger_lot WHERE id IN (
            SELECT (part->>0)::uuid FROM ledger_transfer t, jsonb_array_elements(t.lots) part
            WHERE t.id = ANY(%s::uuid[])
        )
        """,  # noqa: S608  (no value of anybody's)
        (array(transfer_ids),),
    )


def holds(hold_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (id, account id, amount, state, captured, counted on, kind, deadline has passed).

    The account's lock guards them.
    """
    return Statement(
        """
        SELECT id, account_id, amount, state, captured, counted_on, kind, expires_at <= clock_timestamp()
        FROM ledger_hold WHERE id = ANY(%s::uuid[])
        """,
        (array(hold_ids),),
    )


def transfers_of(sources: Collection[str]) -> Statement:
    """What the sources have moved before.

    Rows: (source, id, wallet id, kind, signed amount, transfer it reverses, before, after, metadata).
    """
    return Statement(
        """
        SELECT source, id, wallet_id, kind, balance_after - balance_before, reverses_id, balance_before,
            balance_after, metadata::text
        FROM ledger_transfer WHERE source = ANY(%s::text[])
        """,
        (array(sources),),
    )


def originals(transfer_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (id, wallet id, kind, amount, debit account, credit account, lots, what was reversed of it before)."""
    return Statement(
        """
        SELECT t.id, t.wallet_id, t.kind, t.amount, t.debit_account_id, t.credit_account_id, t.lots::text,
            (SELECT COALESCE(SUM(r.amount), 0)::bigint FROM ledger_transfer r WHERE r.reverses_id = t.id)
        FROM ledger_transfer t WHERE t.id = ANY(%s::uuid[])
        """,
        (array(transfer_ids),),
    )


# --- Writing what a batch did ----------------------------------------------------------------------------


def update_accounts(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, posted, held, version, next expiry, window day, day used, month used, is low)"""
    return Statement(
        """
        UPDATE ledger_account a
        SET posted = new.posted, held = new.held, version = new.version, next_expiry = new.next_expiry,
            window_day = new.window_day, day_used = new.day_used, month_used = new.month_used, is_low = new.is_low
        FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::date[],
                %s::bigint[], %s::bigint[], %s::boolean[])
            AS new(id, posted, held, version, next_expiry, window_day, day_used, month_used, is_low)
        WHERE a.id = new.id
        """,
        _columns(rows, 9),
        returns=False,
    )


def configure_accounts(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, day limit, month limit, low balance)"""
    return Statement(
        """
        UPDATE ledger_account a
        SET day_limit = new.day_limit, month_limit = new.month_limit, low_balance = new.low_balance
        FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS new(id, day_limit, month_limit, low_balance)
        WHERE a.id = new.id
        """,
        _columns(rows, 4),
        returns=False,
    )


def insert_holds(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, created at, account id, amount, state, captured, counted on, kind, expires at)"""
    return Statement(
        """
        INSERT INTO ledger_hold (id, created_at, account_id, amount, state, captured, counted_on, kind, expires_at)
        SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::bigint[], %s::text[], %s::bigint[],
            %s::date[], %s::text[], %s::timestamptz[])
        """,
        _columns(rows, 9),
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
    """(id, created at, tenant, kind, source, debit, credit, amount, wallet, before, after, version, request, reverses,
    lots, metadata)"""
    return Statement(
        """
        INSERT INTO ledger_transfer (id, created_at, tenant_id, kind, source, debit_account_id, credit_account_id,
            amount, wallet_id, balance_before, balance_after, version, request_id, reverses_id, lots, metadata)
        SELECT id, created, tenant, kind, source, debit, credit,
            amount, wallet, before, after, version, request, reverses, lots::jsonb, metadata::jsonb
        FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::uuid[],
                %s::bigint[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::uuid[], %s::uuid[],
                %s::text[], %s::text[])
            AS new(id, created, tenant, kind, source, debit, credit,
                amount, wallet, before, after, version, request, reverses, lots, metadata)
        """,
        _columns(rows, 16),
        returns=False,
    )


def write_lots(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """Rows of LOT_COLUMNS: new lots go in, of known ones what remains is changed."""
    return Statement(
        f"""
        INSERT INTO ledger_lot ({LOT_COLUMNS})
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::bigint[],
            %s::timestamptz[], %s::timestamptz[], %s::smallint[])
        ON CONFLICT (id) DO UPDATE SET remaining = excluded.remaining
        """,  # noqa: S608  (no value of anybody's)
        _columns(rows, 8),
        returns=False,
    )


def open_items(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """Reconciliation items of holds that expired: (id, hold id, deadline)."""
    return Statement(
        """
        INSERT INTO ledger_reconciliationitem (id, hold_id, deadline)
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[])
        """,
        _columns(rows, 3),
        returns=False,
    )


def charge_items(hold_ids: Collection[uuid.UUID]) -> Statement:
    """Settlements that came after all: their items are charged, also where they had been released by then."""
    return Statement(
        """
        UPDATE ledger_reconciliationitem SET state = 'charged', closed_at = clock_timestamp()
        WHERE hold_id = ANY(%s::uuid[])
        """,
        (array(hold_ids),),
        returns=False,
    )
