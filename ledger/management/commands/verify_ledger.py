"""`manage.py verify_ledger`: proof that the books sum."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from ledger.verification import RULES, verify


class Command(BaseCommand):
    help = "Check that the books sum. Names what doesn't, and exits with 1 then."

    def handle(self, *args: Any, **options: Any) -> None:
        faults = list(verify())
        for fault in faults:
            self.stderr.write(str(fault))
        if faults:
            sys.exit(1)
        self.stdout.write(f"The books sum: {len(RULES)} rules hold.")
