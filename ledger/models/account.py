"""Accounts: wallets, which keep a running balance, and house accounts, whose balance is the sum of their transfers."""

from django.db import models
from django.db.models import Q

from config.models import Row


class Account(Row):
    """A place where money is (nano-dollars).

    `posted` is what the wallet owns, `held` what open holds reserve of it, `version` the number of transfers that
    touched it, `next_expiry` the earliest expiry among its lots. A balance row that every charge of a tenant
    updates would halve the throughput, so a house account keeps none of these; earnings do, to be withdrawn from.

    `day_used` and `month_used` are what was held or spent on `window_day` (UTC) and in its month; see
    `ledger/windows.py`. `is_low` remembers that the balance is below `low_balance`, so that it is told once.
    """

    class Kind(models.TextChoices):
        WALLET = "wallet", "Wallet"
        REVENUE = "revenue", "Revenue"
        DEPOSITS = "deposits", "Deposits recorded by the app"
        STRIPE = "stripe", "Stripe (clearing)"
        SANDBOX = "sandbox", "Sandbox checkout (no real money)"
        PROMOTIONS = "promotions", "Promotions and trials"
        BREAKAGE = "breakage", "Breakage (expired credit)"
        TRANSIT = "transit", "Transit between wallets"
        ADJUSTMENTS = "adjustments", "Operators' adjustments"
        EARNINGS = "earnings", "Earnings"
        PAYOUTS = "payouts", "Payouts"

    # The kinds that keep a running balance.
    RUNNING = (Kind.WALLET, Kind.EARNINGS)

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=24, choices=Kind)
    user = models.OneToOneField(
        "paywalls.EndUser", on_delete=models.PROTECT, null=True, blank=True, related_name="wallet"
    )
    team = models.OneToOneField(
        "paywalls.Team", on_delete=models.PROTECT, null=True, blank=True, related_name="wallet"
    )
    # The tenant's own wallet: "customer" is what the metering API calls a tenant.
    customer = models.OneToOneField(
        "paywalls.Tenant", on_delete=models.PROTECT, null=True, blank=True, related_name="wallet"
    )
    posted = models.BigIntegerField(default=0, editable=False)
    held = models.BigIntegerField(default=0, editable=False)
    version = models.BigIntegerField(default=0, editable=False)
    next_expiry = models.DateTimeField(null=True, blank=True, editable=False)
    day_limit = models.BigIntegerField(null=True, blank=True)
    month_limit = models.BigIntegerField(null=True, blank=True)
    window_day = models.DateField(null=True, blank=True, editable=False)
    day_used = models.BigIntegerField(default=0, db_default=0, editable=False)
    month_used = models.BigIntegerField(default=0, db_default=0, editable=False)
    low_balance = models.BigIntegerField(null=True, blank=True)
    is_low = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind"],
                condition=~Q(kind="wallet"),
                name="account_one_house_account_a_kind",
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(
                condition=Q(kind__in=["wallet", "earnings"]) | Q(posted=0, held=0, version=0),
                name="account_house_keeps_no_balance",
            ),
            models.CheckConstraint(
                condition=Q(kind="wallet") | Q(user=None, team=None, customer=None),
                name="account_house_has_no_owner",
            ),
            models.CheckConstraint(
                condition=Q(day_limit=None) | Q(day_limit__gte=0), name="account_day_limit_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(month_limit=None) | Q(month_limit__gte=0), name="account_month_limit_not_negative"
            ),
            models.CheckConstraint(
                condition=~Q(kind="wallet")
                | Q(user__isnull=False, team=None, customer=None)
                | Q(user=None, team__isnull=False, customer=None)
                | Q(user=None, team=None, customer__isnull=False),
                name="account_wallet_has_an_owner",
            ),
            models.CheckConstraint(
                condition=Q(customer=None) | Q(customer=models.F("tenant")),
                name="account_customer_is_its_tenant",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.user or self.team or self.customer or ''}".strip()

    @property
    def available(self) -> int:
        """What can be spent or held now (nano-dollars); below zero is debt."""
        return self.posted - self.held
