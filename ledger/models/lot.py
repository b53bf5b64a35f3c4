"""Lots: every credit, and what is left of it."""

from django.db import models
from django.db.models import F, Q

from config.models import Row
from ledger.lots import DEFAULT_PRIORITY
from ledger.models.account import Account


class Lot(Row):
    """A credit of `amount` nano-dollars of which `remaining` can still burn, until `expires_at` if it has one.

    The smallest `priority` burns first; the rest of the order is in `ledger/lots.py`.
    """

    class Kind(models.TextChoices):
        PAID = "paid", "Paid"
        GRANTED = "granted", "Granted"
        TRIAL = "trial", "Trial"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="lots", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind)
    amount = models.BigIntegerField()
    remaining = models.BigIntegerField()
    # What the indexes go by: by `remaining` itself each burn would be a new entry in all of them.
    is_live = models.GeneratedField(
        expression=Q(remaining__gt=0),  # type: ignore[arg-type]  # a condition is one
        output_field=models.BooleanField(),
        db_persist=True,
    )
    priority = models.SmallIntegerField(default=DEFAULT_PRIORITY, db_default=DEFAULT_PRIORITY)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, remaining__gte=0, remaining__lte=F("amount")),
                name="lot_remaining_in_range",
            ),
        ]
        indexes = [
            models.Index(fields=["account"], name="lot_live", condition=Q(is_live=True)),
            models.Index(
                fields=["expires_at"],
                name="lot_live_expiry",
                condition=Q(is_live=True, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} lot"
