"""Tenants: the businesses that an installation serves."""

from django.db import models
from django.db.models import Q

from config.models import Row


class Tenant(Row):
    """A business with its own paywalls, users, prices and books."""

    public_kind = "tenant"

    name = models.CharField(max_length=255)
    email = models.EmailField(unique=True)
    credits_per_usd = models.PositiveIntegerField(
        default=1_000, help_text="How many credits a US dollar buys, where amounts are shown as credits."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(credits_per_usd__gt=0), name="tenant_credit_rate_positive"),
        ]

    def __str__(self) -> str:
        return self.name
