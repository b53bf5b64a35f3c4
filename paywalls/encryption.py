"""Stored secrets, all of them: re-encrypted when the installation's encryption key changes."""

from dataclasses import dataclass, field

from django.apps import apps
from django.db.models import Model

from config import secrets
from paywalls.models import Paywall, Provider, SecondFactor
from webhooks.models import Subscription

# Every column that holds a secret; a test compares it with the schema. The ledger is above this app: by its name.
SECRETS: tuple[tuple[type[Model], str], ...] = (
    (Provider, "api_key"),
    (Paywall, "stripe_secret_key"),
    (Paywall, "response_secret"),
    (SecondFactor, "secret"),
    (Subscription, "secret"),
    (Subscription, "previous_secret"),
    *((apps.get_model("ledger.StripeAccount"), name) for name in ("webhook_secret", "previous_secret")),
)


@dataclass
class Rotation:
    """How many secrets were re-encrypted, and the names of those that no listed key reads."""

    rotated: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate_all() -> Rotation:
    """Re-encrypt every stored secret with the first of `ENCRYPTION_KEYS`.

    Safe beside a running server: a secret that is changed meanwhile keeps its change, which is encrypted with the
    first key already. One that can't be read is named and left as it is.
    """
    result = Rotation()
    for model, column in SECRETS:
        for row in model._default_manager.exclude(**{column: ""}).iterator():
            token = getattr(row, column)
            try:
                renewed = secrets.rotate(token)
            except secrets.UndecryptableSecret:
                result.unreadable.append(f"{column} of {model._meta.verbose_name} {row} ({row.pk})")
                continue
            result.rotated += model._default_manager.filter(pk=row.pk, **{column: token}).update(
                **{column: renewed}
            )
    return result
