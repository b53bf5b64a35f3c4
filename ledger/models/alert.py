"""Operator alerts: what somebody has to look at."""

from django.db import models
from django.db.models import Q

from config.models import Row


class OperatorAlert(Row):
    """Something is wrong, and stays said until an operator resolves it. One open alert of a kind."""

    class Kind(models.TextChoices):
        BOOKS = "books", "The books don't sum"
        UNSETTLED = "unsettled", "Settlements can't be replayed"
        PAYMENTS = "payments", "Payments need a look"
        WEBHOOKS = "webhooks", "Webhook endpoints were deactivated"

    kind = models.CharField(max_length=32, choices=Kind)
    text = models.TextField()
    seen_at = models.DateTimeField(help_text="When it was last found to be so.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(resolved_at=None), name="alert_one_open_of_a_kind"
            ),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
