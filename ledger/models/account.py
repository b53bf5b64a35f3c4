"""Accounts: wallets, which keep a running balance, and house accounts, whose balance is the sum of their transfers."""

from django.db import models
from django.db.models import Q

from config.models import Row


class Account(Row):
    """A place where money is (nano-dollars).

    `posted` is what the wallet owns, `held` what open holds reserve of it, `version` the number of transfers that
    touched it, `next_expiry` the earliest expiry among its lots. A balance row that every charge of a tenant
    updates would halve the throughput, so a house account keeps none of these.
    """

    class Kind(models.TextChoices):
        WALLET = "wallet", "Wallet of an end user"
        REVENUE = "revenue", "Revenue"
        DEPOSITS = "deposits", "Deposits recorded by the app"
        SANDBOX = "sandbox", "Sandbox checkout (no real money)"
        PROMOTIONS = "promotions", "Promotions and trials"
        BREAKAGE = "breakage", "Breakage (expired credit)"

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=24, choices=Kind)
    user = models.OneToOneField(
        "paywalls.EndUser", on_delete=models.PROTECT, null=True, blank=True, related_name="wallet"
    )
    posted = models.BigIntegerField(default=0, editable=False)
    held = models.BigIntegerField(default=0, editable=False)
    version = models.BigIntegerField(default=0, editable=False)
    next_expiry = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind"],
                condition=~Q(kind="wallet"),
                name="account_one_house_account_a_kind",
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(
                condition=Q(kind="wallet") | Q(posted=0, held=0, version=0, user=None),
                name="account_house_keeps_no_balance",
            ),
            models.CheckConstraint(
                condition=~Q(kind="wallet") | Q(user__isnull=False), name="account_wallet_has_an_owner"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.user or ''}".strip()

    @property
    def available(self) -> int:
        """What can be spent or held now (nano-dollars); below zero is debt."""
        return self.posted - self.held
