"""How many operations a second go through `post()`: batches of 1 to 1,000, on many wallets and on one.

    .venv/bin/python bench/posting.py [--seconds 3] [--wallets 10000]

Each cell is one process and one connection that posts charges for so many seconds, durably, on a scratch database of
the embedded server, or of the one that DATABASE_URL names.
"""

import argparse
import itertools
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scratch import scratch_database

SIZES = (1, 10, 100, 1_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each cell runs")
    parser.add_argument("--wallets", type=int, default=10_000)
    arguments = parser.parse_args()
    with scratch_database():
        wallets = make_wallets(arguments.wallets)
        rows = [
            (size, rate(size, wallets, arguments.seconds), rate(size, wallets[:1], arguments.seconds))
            for size in SIZES
        ]
    print(f"{'batch':>6} {f'{arguments.wallets:,} wallets':>16} {'one hot wallet':>16}   operations a second")
    for size, many, one in rows:
        print(f"{size:>6,} {many:>16,.0f} {one:>16,.0f}")


def make_wallets(count: int) -> list:
    """So many funded wallets of one paywall; their keys."""
    from config import ids
    from ledger.operations import Credit
    from ledger.posting import post
    from paywalls import services
    from paywalls.users import UserRef

    tenant = services.create_tenant(name="Bench", email="bench@bench.test")
    paywall = services.create_paywall(tenant, name="Bench")
    made = []
    for start in range(0, count, 1_000):
        batch = [
            Credit(UserRef(paywall.pk, f"user-{index}"), 10**15, f"d:{ids.new().hex}", "deposit", "deposits")
            for index in range(start, min(start + 1_000, count))
        ]
        made += [receipt.account_id for receipt in post(batch)]
    return made


def rate(size: int, wallets: list, seconds: float) -> float:
    """Charges a second in batches of `size`, each of a wallet picked at random."""
    from config import ids
    from ledger.operations import Debit
    from ledger.posting import post

    picked = itertools.cycle(random.sample(wallets, len(wallets)))
    began = time.perf_counter()
    done = 0
    while (took := time.perf_counter() - began) < seconds or not done:
        batch = [
            Debit(wallet, 1_000, f"c:{ids.new().hex}", "charge", "revenue")
            for wallet in itertools.islice(picked, size)
        ]
        post(batch)
        done += size
    return done / took


if __name__ == "__main__":
    main()
