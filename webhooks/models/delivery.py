"""Deliveries: one event on its way to one subscription."""

from django.db import models
from django.db.models import Q

from config.models import Row
from webhooks.models.event import Event
from webhooks.models.subscription import Subscription


class Delivery(Row):
    """The row is the truth about the delivery; queue messages are hints to look at it.

    A worker that claims it writes a lease; whoever records the outcome must still hold that lease. `attempts` counts
    the attempts that were begun. A lease that ran out (its worker died) makes the delivery due again.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        IN_FLIGHT = "in_flight", "In flight"
        RETRYING = "retrying", "Waiting for a retry"
        SUCCEEDED = "succeeded", "Succeeded"
        REFUSED = "refused", "Refused by the endpoint"
        EXHAUSTED = "exhausted", "Attempts used up"

    public_kind = "delivery"

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    # Attempts that don't count: those before an operator asked for a retry.
    forgiven = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    response_status = models.PositiveIntegerField(null=True, blank=True)
    response_ms = models.PositiveIntegerField(null=True, blank=True)
    response_body = models.TextField(blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=~Q(state__in=["pending", "retrying"]) | Q(next_attempt_at__isnull=False),
                name="delivery_waits_for_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state="in_flight") | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="delivery_in_flight_is_leased",
            ),
        ]
        indexes = [
            # Claims walk it endpoint by endpoint, so that one with a long queue hides nobody else's.
            models.Index(
                fields=["state", "subscription", "next_attempt_at", "id"],
                name="delivery_waiting",
                condition=Q(state__in=["pending", "retrying"]),
            ),
            models.Index(fields=["subscription"], name="delivery_in_flight", condition=Q(state="in_flight")),
            models.Index(fields=["lease_until"], name="delivery_lease", condition=Q(state="in_flight")),
            models.Index(fields=["subscription", "-id"], name="delivery_of_subscription"),
            # The few that ended without success, for who looks for them.
            models.Index(
                fields=["state", "id"],
                name="delivery_failed",
                condition=Q(state__in=["refused", "exhausted"]),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id
