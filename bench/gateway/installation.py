"""A Tollgate for the benchmark: funded wallets, one model, the fake provider behind it.

    DATABASE_URL=… python -m bench.gateway.installation --upstream http://127.0.0.1:9000 --wallets 10000 --processes 1

Says where it is as one line of JSON, then answers each line of its input: "settled" with the number of charges and
their sum once no hold is open, "verify" with what `verify_ledger` says. It ends with its input, and drops its database.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

# The tests' installation is the real product, on a database of its own, on the server of DATABASE_URL as it is.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from bench.gateway import prices  # noqa: E402
from tests import databases, environment  # noqa: E402
from tests.installation import Installation  # noqa: E402

# Nano-dollars for each wallet.
FUNDS = 10**15
# Run inside the product: deposits through its one writer, a thousand at a time.
FUND = """
import sys, uuid
import django
django.setup()
from ledger.operations import Credit
from ledger.posting import post
from paywalls.users import UserRef

paywall, wallets, funds = uuid.UUID(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for start in range(0, wallets, 1_000):
    users = [UserRef(paywall, f"user-{number:06d}") for number in range(start, min(start + 1_000, wallets))]
    post([Credit(user, funds, f"fund:{user.external_id}", "deposit", "deposits") for user in users])
"""


def document(upstream: str) -> dict[str, Any]:
    """What `manage.py apply` is given: one paywall that sells `bench`."""
    return {
        "tenant": {"name": "Bench", "email": "bench@bench.test"},
        "paywalls": [
            {
                "name": "Bench",
                "providers": [{"name": "fake", "base_url": f"{upstream}/v1", "api_key": "fake"}],
                "models": [
                    {
                        "id": "bench",
                        "provider": "fake",
                        "upstream_model": "bench",
                        "pricing": prices.PER_MILLION,
                    }
                ],
            }
        ],
    }


class Site(Installation):
    """Web processes that share one listening socket, as `make run` with WEB_PROCESSES starts them."""

    def share(self, processes: int) -> None:
        """Start the processes on the first server's address."""
        with socket.create_server(("127.0.0.1", self._ports[0]), backlog=4096) as listener:
            fd = listener.fileno()
            for number in range(processes):
                name = f"server-{number}"
                self._spawn(name, "config.serve.web", "--fd", str(fd), keep=[fd], port=self._ports[0])
        self._wait_until_ready(0)

    @property
    def pids(self) -> list[int]:
        """The web processes."""
        return [process.pid for process in self._processes.values()]

    def fund(self, wallets: int) -> None:
        """Give so many end users, user-000000 and on, more than the run can cost them."""
        paywall = self.sql("SELECT id FROM paywalls_paywall")[0]["id"]
        subprocess.run(
            [sys.executable, "-c", FUND, str(paywall), str(wallets), str(FUNDS)],
            cwd=environment.ROOT,
            env={**self.env, "DJANGO_SETTINGS_MODULE": "config.settings"},
            check=True,
        )

    def settled(self) -> dict[str, int]:
        """How many charges there are, and what they sum to (nano-dollars), once every hold is resolved."""
        deadline = time.monotonic() + 60
        while self.sql("SELECT 1 FROM ledger_hold WHERE state = 'open' LIMIT 1"):
            if time.monotonic() > deadline:
                raise SystemExit("holds stayed open for a minute")
            time.sleep(0.2)
        row = self.sql(
            "SELECT count(*) AS charges, coalesce(sum(amount), 0)::bigint AS nano FROM ledger_transfer "
            "WHERE kind = 'usage'"
        )[0]
        return {"charges": int(row["charges"]), "nano": int(row["nano"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--wallets", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    site = Site(document(arguments.upstream), servers=1)
    try:
        databases.create(site._database, template=databases.migrated())
        site.apply(site.document)
        site.fund(arguments.wallets)
        site.sql("VACUUM ANALYZE")
        site.share(arguments.processes)
        print(json.dumps({"url": site.url(), "key": site.key, "pids": site.pids}), flush=True)
        for line in sys.stdin:
            if line.strip() == "settled":
                print(json.dumps(site.settled()), flush=True)
            elif line.strip() == "verify":
                done = site.manage("verify_ledger")
                print(
                    json.dumps({"ok": done.returncode == 0, "said": (done.stdout + done.stderr)[-400:]}),
                    flush=True,
                )
    finally:
        site.stop()
        databases.drop_migrated()


if __name__ == "__main__":
    main()
