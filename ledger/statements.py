"""The SQL of posting. Every statement handles a whole batch: it reads by arrays of keys, and writes rows."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from config import ids
from config.sql import Statement, array, columns, of_rows

# --- Wallets of end users --------------------------------------------------------------------------------


def wallets_of(refs: Sequence[tuple[uuid.UUID, str]]) -> Statement:
    """Rows (paywall id, external id, user id, account id, connection id) of the end users that have a wallet.

    It is their own, or the one that they are connected to.
    """
    return Statement(
        """
        SELECT u.paywall_id, u.external_id, u.id, a.id, c.id
        FROM unnest(%s::uuid[], %s::text[]) AS ref(paywall_id, external_id)
        JOIN paywalls_enduser u USING (paywall_id, external_id)
        LEFT JOIN paywalls_connection c ON c.user_id = u.id AND c.ended_at IS NULL
        LEFT JOIN paywalls_walletuser w ON w.id = c.wallet_user_id
        JOIN ledger_account a ON a.user_id = COALESCE(w.user_id, u.id)
        """,
        columns(refs, 2),
    )


def insert_accounts(rows: Iterable[tuple[uuid.UUID, uuid.UUID, str, uuid.UUID | None]]) -> Statement:
    """Make accounts of (id, tenant id, kind, user id); those that exist stay as they are."""
    return of_rows(
        """
        INSERT INTO ledger_account (id, tenant_id, kind, user_id, posted, held, version)
        SELECT id, tenant_id, kind, user_id, 0, 0, 0
        FROM new(id uuid, tenant_id uuid, kind text, user_id uuid)
        ON CONFLICT DO NOTHING
        """,
        sorted(rows, key=lambda row: (row[1], row[2], str(row[3]))),
    )


def team_wallets(tenant_id: uuid.UUID, external_ids: Collection[str]) -> Statement:
    """Rows (external id, team id, account id or None) of a tenant's teams."""
    return Statement(
        """
        SELECT t.external_id, t.id, a.id FROM paywalls_team t LEFT JOIN ledger_account a ON a.team_id = t.id
        WHERE t.tenant_id = %s AND t.external_id = ANY(%s::text[])
        """,
        (tenant_id, array(external_ids)),
    )


def customer_wallet(tenant_id: uuid.UUID) -> Statement:
    """One row (account id) where the tenant has a wallet of its own."""
    return Statement("SELECT id FROM ledger_account WHERE customer_id = %s", (tenant_id,))


def insert_owned_wallets(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """Wallets of (id, tenant id, team id, customer id); those that exist stay as they are."""
    return of_rows(
        """
        INSERT INTO ledger_account (id, tenant_id, kind, team_id, customer_id, posted, held, version)
        SELECT id, tenant_id, 'wallet', team_id, customer_id, 0, 0, 0
        FROM new(id uuid, tenant_id uuid, team_id uuid, customer_id uuid)
        ON CONFLICT DO NOTHING
        """,
        sorted(rows, key=lambda row: str(row[2])),
    )


# --- Reading what a batch needs --------------------------------------------------------------------------


def lock_accounts(account_ids: Collection[uuid.UUID]) -> Statement:
    """Lock the running accounts in id order: the one lock order there is, so that batches can't deadlock.

    NO KEY: transfers that name the account as a foreign key need not wait. Rows: (id, tenant id, posted, held,
    version, next expiry, day limit, month limit, window day, day used, month used, low balance, is low, whether the
    owner is blocked, the database's clock); the clock is read after the lock was granted.
    """
    return Statement(
        """
        SELECT id, tenant_id, posted, held, version, next_expiry, day_limit, month_limit, window_day, day_used,
            month_used, low_balance, is_low,
            COALESCE((SELECT u.blocked_at IS NOT NULL FROM paywalls_enduser u WHERE u.id = user_id), false),
            clock_timestamp()
        FROM ledger_account WHERE id = ANY(%s::uuid[]) AND kind IN ('wallet', 'earnings')
        ORDER BY id FOR NO KEY UPDATE
        """,
        (array(account_ids),),
    )


LOT_COLUMNS = "account_id, id, kind, amount, remaining, created_at, expires_at, priority"
# Made once: a text that is always the same object is hashed once.
_LIVE_LOTS = f"SELECT {LOT_COLUMNS} FROM ledger_lot WHERE is_live AND account_id = ANY(%s::uuid[])"  # noqa: S608
_WRITE_LOTS = f"""
    INSERT INTO ledger_lot ({LOT_COLUMNS})
    SELECT * FROM new(account_id uuid, id uuid, kind text, amount bigint, remaining bigint, created_at timestamptz,
        expires_at timestamptz, priority smallint)
    ON CONFLICT (id) DO UPDATE SET remaining = excluded.remaining
    """  # noqa: S608  (no value of anybody's)


def live_lots(account_ids: Collection[uuid.UUID]) -> Statement:
    """Rows of LOT_COLUMNS: the accounts' live lots."""
    return Statement(_LIVE_LOTS, (array(account_ids),))


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
    """Rows (id, account id, connection id, model spend id, amount, state, captured, counted on, kind, deadline has
    passed).

    The account's lock guards them.
    """
    return Statement(
        """
        SELECT id, account_id, connection_id, model_spend_id, amount, state, captured, counted_on, kind,
            expires_at <= clock_timestamp()
        FROM ledger_hold WHERE id = ANY(%s::uuid[])
        """,
        (array(hold_ids),),
    )


def connections(connection_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (id, account id, tenant id of the paywall, month limit, window day, day used, month used, has ended, is
    blocked).

    Read after the account was locked, which guards the windows; one that was ended by then has ended for good.
    """
    return Statement(
        """
        SELECT c.id, a.id, p.tenant_id, c.month_limit, c.window_day, c.day_used, c.month_used,
            c.ended_at IS NOT NULL, u.blocked_at IS NOT NULL
        FROM paywalls_connection c
        JOIN paywalls_enduser u ON u.id = c.user_id
        JOIN paywalls_walletuser w ON w.id = c.wallet_user_id
        JOIN ledger_account a ON a.user_id = w.user_id
        JOIN paywalls_paywall p ON p.id = c.paywall_id
        WHERE c.id = ANY(%s::uuid[])
        """,
        (array(connection_ids),),
    )


def model_spends(keys: Collection[uuid.UUID]) -> Statement:
    """Rows (id, account id, model id, window day, day used, month used); the account's lock guards them."""
    return Statement(
        """
        SELECT id, account_id, model_id, window_day, day_used, month_used
        FROM ledger_modelspend WHERE id = ANY(%s::uuid[])
        """,
        (array(keys),),
    )


def splits_of(transfer_ids: Collection[uuid.UUID]) -> Statement:
    """Rows (transfer id, connection id, tenant id, provider cost, platform fee, earned)."""
    return Statement(
        """
        SELECT transfer_id, connection_id, tenant_id, provider_cost, platform_fee, earned
        FROM ledger_split WHERE transfer_id = ANY(%s::uuid[])
        """,
        (array(transfer_ids),),
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


def claims(keys: Sequence[tuple[uuid.UUID, str, str]]) -> Statement:
    """What became of the requests that used these keys (paywall id, external id, digest) in the last 24 hours.

    Rows: (paywall id, external id, digest, fingerprint, request id, its hold's state, whether a lost one was closed
    without a charge). The wallet's lock guards them: a key is one end user's.
    """
    return Statement(
        """
        SELECT k.paywall_id, k.external_id, k.digest, k.fingerprint, k.id, h.state,
            COALESCE(i.state = 'released', false)
        FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS asked(paywall_id, external_id, digest)
        JOIN ledger_requestkey k USING (paywall_id, external_id, digest)
        LEFT JOIN ledger_hold h ON h.id = k.id
        LEFT JOIN ledger_reconciliationitem i ON i.hold_id = k.id
        WHERE k.created_at > clock_timestamp() - INTERVAL '24 hours'
        """,
        columns(keys, 3),
    )


# --- Writing what a batch did ----------------------------------------------------------------------------


def update_accounts(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, posted, held, version, next expiry, window day, day used, month used, is low)"""
    return of_rows(
        """
        UPDATE ledger_account a
        SET posted = new.posted, held = new.held, version = new.version, next_expiry = new.next_expiry,
            window_day = new.window_day, day_used = new.day_used, month_used = new.month_used, is_low = new.is_low
        FROM new(id uuid, posted bigint, held bigint, version bigint, next_expiry timestamptz, window_day date,
            day_used bigint, month_used bigint, is_low boolean)
        WHERE a.id = new.id
        """,
        rows,
    )


def configure_accounts(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, day limit, month limit, low balance)"""
    return of_rows(
        """
        UPDATE ledger_account a
        SET day_limit = new.day_limit, month_limit = new.month_limit, low_balance = new.low_balance
        FROM new(id uuid, day_limit bigint, month_limit bigint, low_balance bigint)
        WHERE a.id = new.id
        """,
        rows,
    )


def insert_holds(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, created at, account id, amount, state, captured, counted on, kind, expires at, about, connection id, model
    spend id)"""
    return of_rows(
        """
        INSERT INTO ledger_hold (id, created_at, account_id, amount, state, captured, counted_on, kind, expires_at,
            about, connection_id, model_spend_id)
        SELECT id, created, account, amount, state, captured, counted, kind, expires, about, connection, model_spend
        FROM new(id uuid, created timestamptz, account uuid, amount bigint, state text, captured bigint, counted date,
            kind text, expires timestamptz, about jsonb, connection uuid, model_spend uuid)
        """,
        rows,
    )


def update_holds(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, state, captured)"""
    return of_rows(
        """
        UPDATE ledger_hold h SET state = new.state, captured = new.captured
        FROM new(id uuid, state text, captured bigint)
        WHERE h.id = new.id
        """,
        rows,
    )


def insert_transfers(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, created at, tenant, kind, source, debit, credit, amount, wallet, before, after, version, request, reverses,
    lots, metadata)"""
    return of_rows(
        """
        INSERT INTO ledger_transfer (id, created_at, tenant_id, kind, source, debit_account_id, credit_account_id,
            amount, wallet_id, balance_before, balance_after, version, request_id, reverses_id, lots, metadata)
        SELECT id, created, tenant, kind, source, debit, credit,
            amount, wallet, before, after, version, request, reverses, lots, metadata
        FROM new(id uuid, created timestamptz, tenant uuid, kind text, source text, debit uuid, credit uuid,
            amount bigint, wallet uuid, before bigint, after bigint, version bigint, request uuid, reverses uuid,
            lots jsonb, metadata jsonb)
        """,
        rows,
    )


def write_lots(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """Rows of LOT_COLUMNS: new lots go in, of known ones what remains is changed."""
    return of_rows(_WRITE_LOTS, rows)


def insert_splits(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(transfer id, created at, tenant id, connection id, amount, provider cost, platform fee, earned)"""
    return of_rows(
        """
        INSERT INTO ledger_split (transfer_id, created_at, tenant_id, connection_id, amount, provider_cost,
            platform_fee, earned)
        SELECT * FROM new(transfer_id uuid, created_at timestamptz, tenant_id uuid, connection_id uuid, amount bigint,
            provider_cost bigint, platform_fee bigint, earned bigint)
        """,
        rows,
    )


def update_connections(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, window day, day used, month used)"""
    return of_rows(
        """
        UPDATE paywalls_connection c
        SET window_day = new.window_day, day_used = new.day_used, month_used = new.month_used
        FROM new(id uuid, window_day date, day_used bigint, month_used bigint)
        WHERE c.id = new.id
        """,
        rows,
    )


def write_model_spends(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(id, account id, model id, window day, day used, month used)"""
    return of_rows(
        """
        INSERT INTO ledger_modelspend (id, account_id, model_id, window_day, day_used, month_used)
        SELECT * FROM new(id uuid, account_id uuid, model_id uuid, window_day date, day_used bigint,
            month_used bigint)
        ON CONFLICT (id) DO UPDATE
        SET window_day = excluded.window_day, day_used = excluded.day_used, month_used = excluded.month_used
        """,
        rows,
    )


def open_items(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """Reconciliation items of holds that expired: (id, hold id, deadline)."""
    return of_rows(
        """
        INSERT INTO ledger_reconciliationitem (id, hold_id, deadline)
        SELECT * FROM new(id uuid, hold_id uuid, deadline timestamptz)
        """,
        rows,
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


def write_claims(rows: Iterable[tuple[Any, ...]]) -> Statement:
    """(request id, created at, paywall id, external id, digest, fingerprint); a key that was free is used again."""
    return of_rows(
        """
        INSERT INTO ledger_requestkey (id, created_at, paywall_id, external_id, digest, fingerprint, answer)
        SELECT id, created, paywall, external, digest, fingerprint, ''
        FROM new(id uuid, created timestamptz, paywall uuid, external text, digest text, fingerprint text)
        ON CONFLICT (paywall_id, external_id, digest) DO UPDATE
        SET id = excluded.id, created_at = excluded.created_at, fingerprint = excluded.fingerprint, answer = ''
        """,
        rows,
    )


def keep_answers(rows: Iterable[tuple[uuid.UUID, str]]) -> Statement:
    """(request id, encrypted answer)"""
    return of_rows(
        """
        UPDATE ledger_requestkey k SET answer = new.answer
        FROM new(id uuid, answer text) WHERE k.id = new.id
        """,
        rows,
    )


def insert_auto_charges(account_ids: Sequence[uuid.UUID]) -> Statement:
    """Auto top-ups, due at once, of the wallets whose owners saved a card; one that is under way stays the only one."""
    return Statement(
        """
        INSERT INTO ledger_autocharge (id, wallet_id, next_attempt_at)
        SELECT new.id, card.wallet_id, clock_timestamp()
        FROM unnest(%s::uuid[], %s::uuid[]) AS new(id, wallet_id)
        JOIN ledger_savedcard card ON card.wallet_id = new.wallet_id
        ON CONFLICT (wallet_id) WHERE state IN ('due', 'processing') DO NOTHING
        """,
        ([ids.new() for _ in account_ids], list(account_ids)),
        returns=False,
    )
