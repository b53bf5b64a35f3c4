"""Checkout Sessions that we made at Stripe."""

from django.db import models
from django.db.models import Q

from config.models import Row
from ledger.models.account import Account
from ledger.models.stripe_account import StripeAccount
from ledger.models.topup import TopUpLink
from paywalls.models import Plan


class StripeCheckout(Row):
    """What we asked a Checkout Session for. Written before Stripe is asked, so that its key makes the call idempotent.

    `purpose` payment adds `amount` nano-dollars to the wallet, setup saves a card, subscription sells `plan`. States:
    made (Stripe has not answered), open, processing (complete, the money comes later), then done, expired, failed, or
    mismatch (what Stripe has is not what we asked for: nothing was credited, an operator looks).
    """

    class Purpose(models.TextChoices):
        PAYMENT = "payment", "Top-up"
        SETUP = "setup", "Saved card"
        SUBSCRIPTION = "subscription", "Plan"

    class State(models.TextChoices):
        MADE = "made", "Made"
        OPEN = "open", "Open"
        PROCESSING = "processing", "Processing"
        DONE = "done", "Done"
        EXPIRED = "expired", "Expired"
        FAILED = "failed", "Failed"
        MISMATCH = "mismatch", "Mismatch"

    LIVE = (State.MADE, State.OPEN, State.PROCESSING)

    account = models.ForeignKey(StripeAccount, on_delete=models.PROTECT, related_name="checkouts")
    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="stripe_checkouts")
    link = models.ForeignKey(
        TopUpLink, on_delete=models.SET_NULL, null=True, blank=True, related_name="checkouts"
    )
    purpose = models.CharField(max_length=16, choices=Purpose)
    amount = models.BigIntegerField(default=0)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, null=True, blank=True, related_name="checkouts")
    wishes = models.JSONField(default=dict, help_text="Of a saved card: what the end user agreed to.")
    session_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    url = models.TextField(blank=True, default="")
    state = models.CharField(max_length=16, choices=State, default=State.MADE)
    error = models.TextField(blank=True, default="")
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "Stripe checkout"
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose="payment", amount__gt=0) | (~Q(purpose="payment") & Q(amount=0)),
                name="stripe_checkout_amount_where_it_pays",
            ),
            models.CheckConstraint(
                condition=Q(purpose="subscription", plan__isnull=False)
                | (~Q(purpose="subscription") & Q(plan=None)),
                name="stripe_checkout_plan_where_it_subscribes",
            ),
        ]
        indexes = [
            models.Index(
                fields=["checked_at"],
                name="stripe_checkout_live",
                condition=Q(state__in=["made", "open", "processing"]),
            ),
        ]

    def __str__(self) -> str:
        return self.session_id or f"checkout {self.pk}"
