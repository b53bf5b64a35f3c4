"""Withdrawals: earnings on their way out."""

from django.db import models
from django.db.models import Q

from config.models import Row


class Withdrawal(Row):
    """A tenant's wish to be paid its earnings: requested, approved, paid; or refused, which gives them back.

    The money has left the earnings from the moment of the request, so that it can't be asked for twice.
    """

    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        APPROVED = "approved", "Approved"
        PAID = "paid", "Paid"
        REFUSED = "refused", "Refused"

    public_kind = "withdrawal"

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.PROTECT, related_name="withdrawals")
    paywall = models.ForeignKey(
        "paywalls.Paywall", on_delete=models.PROTECT, related_name="withdrawals", help_text="Whose key asked."
    )
    amount = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.REQUESTED)
    reference = models.CharField(
        max_length=200, blank=True, default="", help_text="Of the payment, such as the bank's."
    )
    reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it was refused.")
    decided_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="withdrawal_amount_positive"),
            models.CheckConstraint(
                condition=Q(state="paid", paid_at__isnull=False) & ~Q(reference="")
                | ~Q(state="paid") & Q(paid_at=None),
                name="withdrawal_paid_with_reference",
            ),
        ]
        indexes = [models.Index(fields=["tenant", "-created_at"], name="withdrawal_of_tenant")]

    def __str__(self) -> str:
        return self.public_id
