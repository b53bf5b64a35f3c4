"""End users' subscriptions to plans."""

from django.db import models

from config.models import Row
from ledger.models.account import Account
from ledger.models.stripe_account import StripeAccount
from paywalls.models import Plan


class PlanSubscription(Row):
    """A subscription at Stripe. Credit comes with each paid invoice, never from this row."""

    account = models.ForeignKey(StripeAccount, on_delete=models.PROTECT, related_name="subscriptions")
    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="plan_subscriptions")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    subscription_id = models.CharField(max_length=255, unique=True)
    customer_id = models.CharField(max_length=255)
    status = models.CharField(max_length=32)
    ends_with_cycle = models.BooleanField(default=False)
    cycle_ends_at = models.DateTimeField(null=True, blank=True)

    # Stripe's states in which it goes on.
    LIVE = ("active", "trialing", "past_due")

    class Meta:
        indexes = [models.Index(fields=["wallet", "status"], name="plan_subscription_of_wallet")]

    def __str__(self) -> str:
        return self.subscription_id

    @property
    def is_live(self) -> bool:
        """Whether it goes on, or ends with its cycle."""
        return self.status in self.LIVE
