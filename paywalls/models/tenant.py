"""Tenants: the businesses that an installation serves."""

import uuid

from django.db import models
from django.db.models import Q

from config.models import Row

# The installation itself, as a tenant: the wallets of shared mode are in its books.
PLATFORM = uuid.UUID("00000000-0000-7000-8000-000000000001")


class Tier(models.TextChoices):
    """What a tenant has signed up for."""

    STARTER = "STARTER", "Starter"
    GROWTH = "GROWTH", "Growth"
    ENTERPRISE = "ENTERPRISE", "Enterprise"


class Tenant(Row):
    """A business with its own paywalls, users, prices and books."""

    class Uncovered(models.TextChoices):
        """What happens to reported usage that its wallet can't pay: it has been used, so that it can't be refused."""

        DEBT = "debt", "The wallet goes into debt"
        UNBILLED = "unbilled", "Kept as unbilled, to be billed later"

    public_kind = "tenant"

    name = models.CharField(max_length=255)
    email = models.EmailField(unique=True)
    credits_per_usd = models.PositiveIntegerField(
        default=1_000, help_text="How many credits a US dollar buys, where amounts are shown as credits."
    )
    tier = models.CharField(max_length=16, choices=Tier, default=Tier.STARTER, db_default=Tier.STARTER)
    uncovered_usage = models.CharField(
        max_length=16,
        choices=Uncovered,
        default=Uncovered.DEBT,
        db_default=Uncovered.DEBT,
        help_text="What happens to reported usage that its wallet can't pay.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(credits_per_usd__gt=0), name="tenant_credit_rate_positive"),
            models.CheckConstraint(condition=Q(tier__in=Tier.values), name="tenant_tier_known"),
            models.CheckConstraint(
                condition=Q(uncovered_usage__in=["debt", "unbilled"]), name="tenant_uncovered_usage_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class TierLimits(Row):
    """What a tier allows on the metering API. A tier without a row has the installation's defaults."""

    tier = models.CharField(max_length=16, choices=Tier, unique=True)
    rate_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Requests a minute of each key; empty for RATE_LIMIT_PER_MINUTE, 0 for no limit.",
    )
    monthly_events = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Events a tenant may report in a month (UTC); empty for no limit."
    )

    class Meta:
        verbose_name = verbose_name_plural = "tier limits"
        constraints = [
            models.CheckConstraint(condition=Q(tier__in=Tier.values), name="tier_limits_tier_known"),
        ]

    def __str__(self) -> str:
        return self.get_tier_display()
