"""Reconciliation items: requests of which nobody knows how they ended."""

from datetime import timedelta

from django.db import models
from django.db.models import Q

from config.models import Row
from ledger.models.hold import Hold

# How long a late settlement, or an operator, has to say what a lost request cost.
TIME_TO_RECONCILE = timedelta(hours=72)


class ReconciliationItem(Row):
    """A hold that expired: its provider may have completed the call, and no settlement came.

    The hold's money was freed when it expired. The policy: until `deadline` charge what is known (a settlement that
    comes late, or an operator who knows the amount), else leave it released. Written by posting, in the sweeper's
    transaction.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        CHARGED = "charged", "Charged"
        RELEASED = "released", "Released"

    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, related_name="reconciliation")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN, db_default=State.OPEN)
    deadline = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    note = models.TextField(blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="open", closed_at=None) | (~Q(state="open") & Q(closed_at__isnull=False)),
                name="reconciliation_closed_has_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["deadline"], name="reconciliation_open", condition=Q(state="open")),
        ]

    def __str__(self) -> str:
        return self.hold.public_id
