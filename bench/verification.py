"""How long `verify_ledger` takes over a million transfers.

    .venv/bin/python bench/verification.py [--transfers 1000000] [--wallets 10000]

The rows are inserted in bulk, as posting would have written them: a deposit for each wallet, then charges of requests,
each with its hold. Uses a scratch database of the embedded server, or of the one that DATABASE_URL names.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scratch import scratch_database

# Wallet n gets version 1 (a deposit of 10^12) and then charges of 1,000 nano-dollars.
FILL = """
CREATE TEMP TABLE w ON COMMIT DROP AS
    SELECT n, gen_random_uuid() AS id, gen_random_uuid() AS user_id, gen_random_uuid() AS lot_id
    FROM generate_series(1, {wallets}) n;
INSERT INTO paywalls_enduser (id, paywall_id, external_id)
    SELECT user_id, '{paywall}', 'user-' || n FROM w;
INSERT INTO ledger_account (id, tenant_id, kind, user_id, posted, held, version, window_day, day_used, month_used)
    SELECT id, '{tenant}', 'wallet', user_id, 1000000000000 - 1000 * {charges}, 0, 1 + {charges},
        (now() AT TIME ZONE 'UTC')::date, 1000 * {charges}, 1000 * {charges} FROM w;
INSERT INTO ledger_account (id, tenant_id, kind, posted, held, version) VALUES
    ('{revenue}', '{tenant}', 'revenue', 0, 0, 0), ('{deposits}', '{tenant}', 'deposits', 0, 0, 0);
INSERT INTO ledger_lot (id, account_id, kind, amount, remaining)
    SELECT lot_id, id, 'paid', 1000000000000, 1000000000000 - 1000 * {charges} FROM w;
INSERT INTO ledger_transfer (id, tenant_id, kind, source, debit_account_id, credit_account_id, amount, wallet_id,
        balance_before, balance_after, version, lots, metadata)
    SELECT gen_random_uuid(), '{tenant}', 'deposit', 'd:' || n, '{deposits}', id, 1000000000000, id,
        0, 1000000000000, 1, jsonb_build_array(jsonb_build_array(lot_id, 1000000000000)), '{{}}' FROM w;
CREATE TEMP TABLE h ON COMMIT DROP AS
    SELECT gen_random_uuid() AS id, w.id AS wallet, lot_id, v FROM w, generate_series(1, {charges}) v;
INSERT INTO ledger_hold (id, account_id, amount, state, captured, expires_at, counted_on)
    SELECT id, wallet, 2000, 'captured', 1000, now(), (now() AT TIME ZONE 'UTC')::date FROM h;
INSERT INTO ledger_transfer (id, tenant_id, kind, source, debit_account_id, credit_account_id, amount, wallet_id,
        balance_before, balance_after, version, request_id, lots, metadata)
    SELECT gen_random_uuid(), '{tenant}', 'usage', 'usage:' || id, wallet, '{revenue}', 1000, wallet,
        1000000000000 - 1000 * (v - 1), 1000000000000 - 1000 * v, v + 1, id,
        jsonb_build_array(jsonb_build_array(lot_id, -1000)), '{{"model": "gpt", "estimated": false}}' FROM h;
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transfers", type=int, default=1_000_000)
    parser.add_argument("--wallets", type=int, default=10_000)
    arguments = parser.parse_args()
    with scratch_database():
        fill(arguments.wallets, max(1, arguments.transfers // arguments.wallets - 1))
        measure()


def fill(wallets: int, charges: int) -> None:
    """So many wallets, each with a deposit and so many charges."""
    from django.db import connection, transaction

    from ledger.wallets import house_account_id
    from paywalls import services

    tenant = services.create_tenant(name="Bench", email="bench@bench.test")
    paywall = services.create_paywall(tenant, name="Bench")
    names = {
        "wallets": wallets,
        "charges": charges,
        "tenant": tenant.pk,
        "paywall": paywall.pk,
        "revenue": house_account_id(tenant.pk, "revenue"),
        "deposits": house_account_id(tenant.pk, "deposits"),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FILL.format(**names))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(f"{wallets * (charges + 1):,} transfers of {wallets:,} wallets")


def measure() -> None:
    """Each rule's time, and the whole."""
    from django.db import connection

    from ledger.verification import RULES, verify

    for rule in RULES:
        began = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(rule.statement)
            found = cursor.fetchall()
        print(f"{time.perf_counter() - began:8.2f} s  {rule.name}{'  BROKEN' if found else ''}")
    began = time.perf_counter()
    faults = list(verify())
    print(f"{time.perf_counter() - began:8.2f} s  all of it: {len(faults)} faults")


if __name__ == "__main__":
    main()
