"""Events that Stripe sent, stored before anything is made of them."""

from django.db import models
from django.db.models import Q

from config.models import Row
from ledger.models.stripe_account import StripeAccount


class StripeEvent(Row):
    """A verified event. Waiting ones are due at `next_attempt_at`; a failed one waits for an operator."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        PROCESSED = "processed", "Processed"
        IGNORED = "ignored", "Not ours"
        FAILED = "failed", "Failed"

    account = models.ForeignKey(StripeAccount, on_delete=models.PROTECT, related_name="events")
    event_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=100)
    payload = models.JSONField()
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    error = models.TextField(blank=True, default="")
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "Stripe event"
        indexes = [
            models.Index(fields=["next_attempt_at"], name="stripe_event_due", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
