"""Plans: credit by subscription."""

from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.paywall import Paywall


class Plan(Row):
    """A subscription that a paywall sells: a recurring Stripe price buys `credit` nano-dollars a cycle.

    What is left at a cycle's end stays where the plan rolls over, and expires where it doesn't. `amount`, `interval`
    and `interval_count` are what Stripe says of the price; until it was asked (`checked_at`) the plan isn't offered.
    """

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="plans")
    name = models.CharField(max_length=64)
    price_id = models.CharField(max_length=255)
    credit = models.BigIntegerField()
    rolls_over = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    amount = models.BigIntegerField(null=True, blank=True, editable=False)
    interval = models.CharField(max_length=8, blank=True, default="", editable=False)
    interval_count = models.PositiveSmallIntegerField(default=1, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    fault = models.TextField(blank=True, default="", editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["paywall", "name"], name="plan_name_unique_in_paywall"),
            models.CheckConstraint(condition=Q(credit__gt=0), name="plan_credit_positive"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_offered(self) -> bool:
        """Whether an end user can take it now."""
        return self.is_active and self.amount is not None and not self.fault
