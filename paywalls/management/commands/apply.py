"""Paywalls as code: `manage.py apply paywalls.yaml`."""

import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from config import ids
from ledger.payments import accounts, integration, rights, upkeep
from paywalls import audit, margins
from paywalls.audit import Actor
from paywalls.configuration import InvalidDocument, apply_document, load, stripe_keys
from paywalls.errors import InvalidSetting
from paywalls.models import AuditEntry, Paywall, PaywallModel


class Command(BaseCommand):
    help = (
        "Make the tenant, paywalls, providers and models that a YAML file describes, and change what "
        "differs. Prints JSON, with each newly made key once. The format is in docs/configuration.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the YAML file; - reads standard input")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        try:
            document = load(self._read(file))
            keys = stripe_keys(document, os.environ)
            self._verify(keys)
            with audit.acting(Actor(AuditEntry.Actor.COMMAND, "manage.py apply")):
                applied = apply_document(document, os.environ)
        except InvalidDocument as error:
            raise CommandError("\n".join(["nothing was written:", *error.faults])) from None
        self.stdout.write(json.dumps(applied, indent=2, ensure_ascii=False))
        paywalls = [ids.parse("paywall", paywall["id"]) for paywall in applied["paywalls"]]
        models = PaywallModel.objects.filter(paywall__in=paywalls).select_related("paywall")
        models = models.prefetch_related("routes__provider")
        for warning in margins.warnings(models.order_by("paywall", "model_id")):
            self.stderr.write(f"warning: {warning}")

        self._connect(paywalls, {name: key for name, _, key in keys})

    def _verify(self, keys: list[tuple[str, Paywall | None, str]]) -> None:
        """Have Stripe verify the keys that are new, before anything is written."""
        faults = []
        for name, known, key in keys:
            if known and accounts.stored_key(known) == key:
                continue
            try:
                rights.check_key(key)
            except InvalidSetting as fault:
                faults.append(f"the Stripe key of {name} {fault}")
        if faults:
            raise InvalidDocument(faults)

    def _connect(self, paywall_ids: list[UUID], keys: dict[str, str]) -> None:
        """Connect the verified keys, and ask Stripe for the prices of new plans. Not in a transaction."""
        for paywall in Paywall.objects.filter(pk__in=paywall_ids):
            try:
                if paywall.name in keys and accounts.stored_key(paywall) != keys[paywall.name]:
                    integration.connect(paywall, keys[paywall.name], by="apply")
                    paywall.refresh_from_db()
            except InvalidSetting as fault:
                raise CommandError(
                    f"everything but this was written: the Stripe key of {paywall} {fault}"
                ) from None
            for warning in upkeep.connect_and_price(paywall, by="apply"):
                self.stderr.write(f"warning: {warning}")

    def _read(self, file: str) -> bytes:
        try:
            return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except OSError as error:
            raise CommandError(f"can't read {file}: {error.strerror}") from None
