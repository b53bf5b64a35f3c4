"""Reported usage from before, by the million: events with their transfers, balances, lots, months and roll-ups.

Written by a few set-based statements, in the order in which events come in, with all triggers at work: the books sum
afterwards (`verify_ledger`).
"""

import time

from django.db import connection, transaction

CHUNK = 250_000
# What each event burns (nano-dollars), and what its provider asks for it.
AMOUNT, COST = 1_000_000, 450_000
DAYS = 90

# A UUIDv7 of the event's moment: keys and sources are in order, as they are where events come in.
KEY = "(lpad(to_hex((EXTRACT(EPOCH FROM at) * 1000)::bigint), 12, '0') || '7000{}' || lpad(to_hex(n), 15, '0'))::uuid"
WALLETS = """
CREATE TEMP TABLE wallets AS
    SELECT row_number() OVER (ORDER BY a.id) - 1 AS place, a.id, a.user_id, a.tenant_id, l.id AS lot_id, a.posted,
        a.version,
        (SELECT r.id FROM ledger_account r WHERE r.tenant_id = a.tenant_id AND r.kind = 'revenue') AS revenue_id
    FROM ledger_account a JOIN ledger_lot l ON l.account_id = a.id AND l.is_live
    WHERE a.tenant_id = %s AND a.user_id IS NOT NULL
"""
# `used` is how many events the wallet had before this one.
STORED = f"""
CREATE TEMP TABLE stored ON COMMIT DROP AS
    SELECT e.n, e.at, e.used, {KEY.format(8)} AS event_key, {KEY.format(9)} AS transfer_key, w.*
    FROM (
        SELECT n, now() - (%(stop)s - n) * (interval '{DAYS} days' / %(of)s) AS at,
            (n - %(first)s) / %(wallets)s AS used, (n - %(first)s) %% %(wallets)s AS place
        FROM generate_series(%(start)s::bigint, %(end)s) n
    ) e JOIN wallets w ON w.place = e.place
"""
EVENTS = f"""
INSERT INTO ledger_usageevent (id, created_at, tenant_id, wallet_id, user_id, event_id, batch_id, timestamp, event_type,
        feature_id, provider, model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, images,
        image_size, quality, unit_type, quantity, metadata, state, amount, cost)
    SELECT event_key, at, tenant_id, id, user_id, gen_random_uuid(), event_key, at, 'TOKEN_USAGE',
        'chat', 'OPENAI', CASE n % 2 WHEN 0 THEN 'gpt-4o' ELSE 'gpt-4o-mini' END, 1000, 0, 0, 500, 0,
        '', '', '', 0, '{{}}', 'billed', {AMOUNT}, {COST}
    FROM stored ORDER BY n
"""
TRANSFERS = f"""
INSERT INTO ledger_transfer (id, created_at, tenant_id, kind, source, debit_account_id, credit_account_id, amount,
        wallet_id, balance_before, balance_after, version, lots, metadata)
    SELECT transfer_key, at, tenant_id, 'burn', 'event:' || replace(event_key::text, '-', ''), id, revenue_id, {AMOUNT},
        id, posted - used * {AMOUNT}, posted - (used + 1) * {AMOUNT}, version + used + 1,
        jsonb_build_array(jsonb_build_array(lot_id, -{AMOUNT})), jsonb_build_object('event', event_key)
    FROM stored ORDER BY n
"""
# What each wallet has burned in all.
BURNED = (
    "(SELECT w.*, (%(count)s::bigint - place + %(wallets)s - 1) / %(wallets)s AS burned FROM wallets w) w"
)
BALANCES = f"""
UPDATE ledger_account a SET posted = w.posted - w.burned * {AMOUNT}, version = w.version + w.burned
    FROM {BURNED} WHERE a.id = w.id
"""
LOTS = (
    f"UPDATE ledger_lot l SET remaining = remaining - w.burned * {AMOUNT} FROM {BURNED} WHERE l.id = w.lot_id"
)


def store(tenant, start: int, stop: int) -> float:
    """Store the events from number `start` to before `stop`; the seconds that it took.

    They are spread over the tenant's wallets, each with one lot that covers them, and over the last 90 days.
    """
    from ledger.analytics import rollups

    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS wallets")
        cursor.execute(WALLETS, [tenant.pk])
        cursor.execute("ANALYZE wallets")
        cursor.execute("SELECT count(*) FROM wallets")
        [(wallets,)] = cursor.fetchall()
        names = {"first": start, "stop": stop, "of": stop - start, "count": stop - start, "wallets": wallets}
        for chunk in range(start, stop, CHUNK):
            with transaction.atomic():
                cursor.execute(STORED, {**names, "start": chunk, "end": min(chunk + CHUNK, stop) - 1})
                cursor.execute(EVENTS)
                cursor.execute(TRANSFERS)
            rollups.roll_up_all()
        with transaction.atomic():
            cursor.execute(BALANCES, names)
            cursor.execute(LOTS, names)
        cursor.execute("VACUUM ANALYZE")
    return time.perf_counter() - began
