"""`manage.py export_ledger`: every transfer of a date range, on standard output."""

import sys
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger import export
from paywalls.models import Tenant


class Command(BaseCommand):
    help = "Write the transfers of a date range (UTC), oldest first, tenant by tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["csv", "jsonl"], default="csv")
        parser.add_argument("--from", dest="since", type=_moment, help="a date or time, included")
        parser.add_argument("--to", dest="until", type=_moment, help="a date or time, not included")
        parser.add_argument("--tenant", help="only the tenant with this email")

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = Tenant.objects.order_by("id")
        if options["tenant"]:
            tenants = tenants.filter(email=options["tenant"])
            if not tenants.exists():
                raise CommandError(f"there is no tenant with the email {options['tenant']}")
        for position, tenant in enumerate(tenants):
            selection = export.Selection(tenant.pk, None, options["since"], options["until"])
            chunks = export.chunks(selection, options["format"])
            if position and options["format"] == "csv":
                next(chunks)  # one header for all
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
