"""Payments that Stripe took and that were credited."""

from django.db import models
from django.db.models import F, Q

from config.models import Row
from ledger.models.account import Account
from ledger.models.stripe_account import StripeAccount


class StripePayment(Row):
    """Money that Stripe took: `amount` nano-dollars of it, for which the wallet got `credited`.

    Written in the transaction of its credit. `object_id` names what was credited, once: a Checkout Session, a
    PaymentIntent of an auto top-up, or an invoice of a plan. `reversed` is what refunds and disputes have taken back so
    far of `credited`, in `corrections` steps.
    """

    class Kind(models.TextChoices):
        CHECKOUT = "checkout", "Top-up"
        AUTO = "auto", "Auto top-up"
        INVOICE = "invoice", "Plan"

    account = models.ForeignKey(StripeAccount, on_delete=models.PROTECT, related_name="payments")
    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="stripe_payments")
    kind = models.CharField(max_length=16, choices=Kind)
    object_id = models.CharField(max_length=255, unique=True)
    payment_intent = models.CharField(max_length=255, blank=True, default="", db_index=True)
    amount = models.BigIntegerField()
    credited = models.BigIntegerField()
    reversed = models.BigIntegerField(default=0)
    corrections = models.PositiveIntegerField(default=0)
    disputed = models.BooleanField(default=False)

    class Meta:
        verbose_name = "Stripe payment"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0, credited__gt=0), name="stripe_payment_positive"),
            models.CheckConstraint(
                condition=Q(reversed__gte=0, reversed__lte=F("credited")),
                name="stripe_payment_reversed_in_range",
            ),
            models.CheckConstraint(
                condition=Q(kind="invoice") | Q(credited=F("amount")),
                name="stripe_payment_top_ups_are_credited_whole",
            ),
        ]
        indexes = [models.Index(fields=["wallet", "created_at"], name="stripe_payment_of_wallet")]

    def __str__(self) -> str:
        return self.object_id

    @property
    def source(self) -> str:
        """The ledger's source of its credit."""
        return source_of(self.object_id)


def source_of(object_id: str) -> str:
    """The ledger's source of what a Checkout Session, PaymentIntent or invoice credits."""
    return f"stripe:{object_id}"
