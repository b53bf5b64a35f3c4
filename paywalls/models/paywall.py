"""Paywalls and the keys that name them."""

from decimal import Decimal

from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.tenant import Tenant


class Paywall(Row):
    """What an app points its OpenAI client at: models, prices, and the end users who pay for them.

    `config_version` moves with every change of the paywall, its keys, providers or models (a database trigger, so
    that no writer can forget it). The gateway compares it inside each hold's transaction.
    """

    class Mode(models.TextChoices):
        DEFAULT = "default", "Default: a balance per end user"
        SHARED = "shared", "Shared: one wallet of the end user for all shared paywalls"

    public_kind = "paywall"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="paywalls")
    name = models.CharField(max_length=255)
    mode = models.CharField(max_length=16, choices=Mode, default=Mode.DEFAULT)
    trial_credit = models.BigIntegerField(
        default=0, help_text="What a new end user gets once, as a gift (nano-dollars)."
    )
    markup_percent = models.DecimalField(
        max_digits=9, decimal_places=4, default=Decimal(0), help_text="Added on top of every model's price."
    )
    stripe_secret_key = models.TextField(
        blank=True, default="", editable=False, help_text="Encrypted. With it, top-ups are real payments."
    )
    config_version = models.BigIntegerField(db_default=1, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="paywall_name_unique_in_tenant"),
            models.CheckConstraint(condition=Q(trial_credit__gte=0), name="paywall_trial_not_negative"),
            models.CheckConstraint(
                condition=Q(markup_percent__gte=0, markup_percent__lte=10_000),
                name="paywall_markup_in_range",
            ),
            models.CheckConstraint(condition=Q(mode__in=["default", "shared"]), name="paywall_mode_known"),
        ]

    def __str__(self) -> str:
        return self.name


class PaywallKey(Row):
    """A secret that names a paywall. Only its SHA-256 is stored: 256 random bits need no slow hash."""

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="keys")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return f"sk-paywalls-…{self.last_four}"
