"""The demo paywall of a new installation."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from config import secrets
from paywalls.configuration import apply_document, load
from paywalls.models import Paywall

DOCUMENT = Path(settings.BASE_DIR) / "config" / "demo.yaml"


class Command(BaseCommand):
    help = (
        "Make the demo paywall of config/demo.yaml where no paywall exists, and keep its key under DATA_DIR."
    )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        if Paywall.objects.exists():
            return
        applied = apply_document(load(DOCUMENT.read_bytes()), environ={})
        # Before the commit: a crash between the two leaves a useless key, not a paywall whose key is lost.
        secrets.keep(settings.DATA_DIR, "demo_key", applied["paywalls"][0]["key"])
