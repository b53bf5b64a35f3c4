"""Paywalls as code: `manage.py apply paywalls.yaml`."""

import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import ids
from paywalls import margins
from paywalls.configuration import InvalidDocument, apply_document, load
from paywalls.models import PaywallModel


class Command(BaseCommand):
    help = (
        "Make the tenant, paywalls, providers and models that a YAML file describes, and change what "
        "differs. Prints JSON, with each newly made key once. The format is in docs/configuration.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the YAML file; - reads standard input")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        try:
            applied = apply_document(load(self._read(file)), os.environ)
        except InvalidDocument as error:
            raise CommandError("\n".join(["nothing was written:", *error.faults])) from None
        self.stdout.write(json.dumps(applied, indent=2, ensure_ascii=False))
        paywalls = [ids.parse("paywall", paywall["id"]) for paywall in applied["paywalls"]]
        models = PaywallModel.objects.filter(paywall__in=paywalls).select_related("paywall")
        for warning in margins.warnings(models.order_by("paywall", "model_id")):
            self.stderr.write(f"warning: {warning}")

    def _read(self, file: str) -> bytes:
        try:
            return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except OSError as error:
            raise CommandError(f"can't read {file}: {error.strerror}") from None
