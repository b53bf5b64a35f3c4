"""Who gets what of a charge in shared mode, and how that reaches the earnings."""

from django.db import models
from django.db.models import F, Q

from config.models import Row
from ledger.models.transfer import Transfer


class Settlement(Row):
    """One movement of a tenant's earnings: the sum of what its paywalls earned by the splits that name it."""

    public_kind = "settlement"

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.PROTECT, related_name="settlements")
    amount = models.BigIntegerField(help_text="Nano-dollars; below zero where more was refunded than earned.")

    def __str__(self) -> str:
        return self.public_id


class Split(models.Model):
    """How a charge on a shared wallet is shared out (nano-dollars), written with its transfer.

    A refund has a split of its own with the parts below zero. The parts sum to the transfer's amount exactly.
    `settlement` is null until the paywall's part has reached the earnings.
    """

    transfer = models.OneToOneField(
        Transfer, on_delete=models.PROTECT, primary_key=True, related_name="split", db_constraint=False
    )
    created_at = models.DateTimeField()
    tenant = models.ForeignKey(
        "paywalls.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    connection = models.ForeignKey(
        "paywalls.Connection", on_delete=models.PROTECT, related_name="splits", db_index=False
    )
    amount = models.BigIntegerField()
    provider_cost = models.BigIntegerField()
    platform_fee = models.BigIntegerField()
    earned = models.BigIntegerField()
    settlement = models.ForeignKey(
        Settlement, on_delete=models.PROTECT, null=True, blank=True, related_name="splits", db_index=False
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount=F("provider_cost") + F("platform_fee") + F("earned")),
                name="split_sums_to_its_amount",
            ),
            models.CheckConstraint(
                condition=Q(provider_cost__gte=0, platform_fee__gte=0, earned__gte=0, amount__gt=0)
                | Q(provider_cost__lte=0, platform_fee__lte=0, earned__lte=0, amount__lt=0),
                name="split_parts_of_one_sign",
            ),
        ]
        indexes = [
            models.Index(fields=["connection", "-created_at"], name="split_of_connection"),
            models.Index(fields=["tenant", "created_at"], name="split_of_tenant"),
            models.Index(fields=["tenant"], name="split_to_settle", condition=Q(settlement=None)),
            models.Index(
                fields=["settlement"], name="split_of_settlement", condition=Q(settlement__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"split of {self.transfer_id}"
