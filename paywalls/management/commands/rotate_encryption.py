"""After a new key was put in front of ENCRYPTION_KEYS: `manage.py rotate_encryption`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from paywalls.encryption import rotate_all


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first of ENCRYPTION_KEYS. "
        "Once it succeeds, and all servers run with the new key in front, the old keys can be dropped."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        result = rotate_all()
        self.stdout.write(f"Re-encrypted {result.rotated} secrets with the first of ENCRYPTION_KEYS.")
        if result.unreadable:
            raise CommandError(
                "no key in ENCRYPTION_KEYS reads these; add the key they were encrypted with, or enter them anew:\n"
                + "\n".join(result.unreadable)
            )
