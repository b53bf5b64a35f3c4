"""Transfers: the immutable record of every movement of money."""

from django.db import models
from django.db.models import F, Q

from config.models import Row
from ledger.models.account import Account


class Transfer(Row):
    """`amount` nano-dollars from the debit to the credit account; one row is balanced by construction.

    `source` names the cause and is unique for ever: the same cause can't move money twice. `wallet` is the one side
    that keeps a running balance, with that balance before and after, and its gapless `version`. `lots` says which
    credits the amount came from or went to: a list of [lot id, nano-dollars]. A refund or reversal `reverses` an
    earlier transfer, or a part of it. A trigger refuses UPDATE, DELETE and TRUNCATE.
    """

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", "Deposit"
        GRANT = "grant", "Grant"
        TRIAL = "trial", "Trial credit"
        USAGE = "usage", "Usage"
        CHARGE = "charge", "Charge"
        BURN = "burn", "Reported usage"
        EXPIRY = "expiry", "Expired credit"
        REFUND = "refund", "Refund"
        REVERSAL = "reversal", "Reversal"
        TRANSFER = "transfer", "Transfer between wallets"
        EARNING = "earning", "Earning"
        WITHDRAWAL = "withdrawal", "Withdrawal"
        ADJUSTMENT = "adjustment", "Adjustment by an operator"

    public_kind = "activity"

    # The accounts' own tenant, kept here for lists by date; their constraints hold it in place.
    tenant = models.ForeignKey(
        "paywalls.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=24, choices=Kind)
    source = models.CharField(max_length=200)
    # A trigger holds the accounts in place, a statement at a time: a constraint looks once for each row and account.
    debit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="debits", db_index=False, db_constraint=False
    )
    credit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credits", db_index=False, db_constraint=False
    )
    amount = models.BigIntegerField()
    # One of the two accounts above.
    wallet = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="transfers", db_index=False, db_constraint=False
    )
    balance_before = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    version = models.BigIntegerField()
    request_id = models.UUIDField(null=True, blank=True)
    reverses = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversals", db_index=False
    )
    lots = models.JSONField(default=list)
    metadata = models.JSONField(default=dict)

    class Meta:
        constraints = [
            # One index that serves equality and prefixes.
            models.UniqueConstraint(
                fields=["source"], name="transfer_source_once", opclasses=["varchar_pattern_ops"]
            ),
            models.UniqueConstraint(fields=["wallet", "version"], name="transfer_version_unique_in_wallet"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(
                condition=~Q(debit_account=F("credit_account")), name="transfer_between_two_accounts"
            ),
            models.CheckConstraint(
                condition=(
                    Q(credit_account=F("wallet"), balance_after=F("balance_before") + F("amount"))
                    | Q(debit_account=F("wallet"), balance_after=F("balance_before") - F("amount"))
                ),
                name="transfer_balances_follow",
            ),
        ]
        indexes = [
            models.Index(
                fields=["request_id"], name="transfer_request", condition=Q(request_id__isnull=False)
            ),
            models.Index(fields=["reverses"], name="transfer_reverses", condition=Q(reverses__isnull=False)),
            models.Index(fields=["tenant", "-created_at"], name="transfer_tenant_date"),
            # Nearly all are of usage, the gateway's or reported: who looks for those finds them by date.
            models.Index(
                fields=["kind", "id"], name="transfer_kind", condition=~Q(kind__in=["usage", "burn"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.public_id}"
