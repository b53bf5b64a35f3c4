"""`manage.py seed_demo`: half a year of demonstration data."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.demo import history


class Command(BaseCommand):
    help = (
        "Make a demonstration: a tenant with three paywalls and half a year of requests, with their users, charges,"
        " events and roll-ups. Refused in production."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, default=10_000, help="how many requests (10,000)")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()

        def told(step: str) -> None:
            if options["verbosity"]:
                self.stdout.write(f"{time.monotonic() - began:6.1f} s  {step}")

        try:
            history.seed(options["rows"], told)
        except history.Refused as refused:
            raise CommandError(str(refused)) from None
        told(f"done: {options['rows']:,} requests")
