"""Saved cards, and what they are charged for."""

from django.db import models
from django.db.models import F, Q

from config.models import Row
from ledger.models.account import Account
from ledger.models.stripe_account import StripeAccount


class SavedCard(Row):
    """The card that an end user saved for auto top-up, and what they agreed to (nano-dollars).

    `amount` at a time and `month_limit` a month (UTC) are the most that may be charged, whatever else is configured.
    """

    wallet = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="saved_card")
    account = models.ForeignKey(StripeAccount, on_delete=models.PROTECT, related_name="cards")
    customer_id = models.CharField(max_length=255)
    payment_method_id = models.CharField(max_length=255)
    brand = models.CharField(max_length=32, blank=True, default="")
    last_four = models.CharField(max_length=4, blank=True, default="")
    amount = models.BigIntegerField()
    month_limit = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, month_limit__gte=F("amount")), name="saved_card_month_covers_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.brand} …{self.last_four}".strip()


class CardRemoval(Row):
    """A card that was forgotten here and has still to be taken from its customer at Stripe.

    Written with what forgets it, and deleted once it is done; `next_attempt_at` is also the lease of who is asking.
    """

    account = models.ForeignKey(StripeAccount, on_delete=models.PROTECT, related_name="card_removals")
    payment_method_id = models.CharField(max_length=255)
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField()
    error = models.TextField(blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "payment_method_id"], name="card_removal_once"),
        ]
        indexes = [models.Index(fields=["next_attempt_at"], name="card_removal_due")]

    def __str__(self) -> str:
        return self.payment_method_id


class AutoCharge(Row):
    """One auto top-up, made in the transaction in which the balance fell below its threshold.

    Due until a worker has asked Stripe; `next_attempt_at` is also the lease of who is asking. At most one of a wallet
    is under way.
    """

    class State(models.TextChoices):
        DUE = "due", "Due"
        PROCESSING = "processing", "Processing"
        PAID = "paid", "Paid"
        DECLINED = "declined", "Declined"
        SKIPPED = "skipped", "Skipped"
        FAILED = "failed", "Failed"

    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="auto_charges")
    amount = models.BigIntegerField(default=0, db_default=0)
    state = models.CharField(max_length=16, choices=State, default=State.DUE, db_default=State.DUE)
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField()
    payment_intent = models.CharField(max_length=255, blank=True, default="", db_default="")
    request = models.JSONField(
        default=dict, db_default=models.Value({}, output_field=models.JSONField()), editable=False
    )
    error = models.TextField(blank=True, default="", db_default="")

    class Meta:
        verbose_name = "auto top-up"
        constraints = [
            models.UniqueConstraint(
                fields=["wallet"],
                condition=Q(state__in=["due", "processing"]),
                name="auto_charge_one_under_way",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="auto_charge_due",
                condition=Q(state__in=["due", "processing"]),
            ),
        ]

    def __str__(self) -> str:
        return f"auto top-up {self.pk}"
