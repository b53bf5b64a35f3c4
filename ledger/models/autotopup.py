"""Auto top-up: what to add where a balance gets low."""

from django.db import models
from django.db.models import Q

from config.models import Row
from ledger.models.account import Account


class AutoTopUp(Row):
    """Add `amount` nano-dollars when the wallet's balance falls below its threshold, at most `month_limit` a month."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="auto_topup")
    amount = models.BigIntegerField()
    month_limit = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="auto_topup_amount_positive"),
            models.CheckConstraint(
                condition=Q(month_limit=None) | Q(month_limit__gte=models.F("amount")),
                name="auto_topup_month_covers_one",
            ),
        ]

    def __str__(self) -> str:
        return f"auto top-up of {self.account}"
