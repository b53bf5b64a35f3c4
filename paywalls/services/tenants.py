"""Tenants: businesses on this installation."""

from typing import Any, TypedDict, Unpack

from paywalls import rules
from paywalls.models import Tenant, Tier
from paywalls.services.writing import refuse_taken, write_changes


class TenantSettings(TypedDict, total=False):
    name: str
    email: str
    credits_per_usd: int
    tier: str
    uncovered_usage: str


def check_tenant(tenant: Tenant | None, **settings: Unpack[TenantSettings]) -> dict[str, Any]:
    """The settings that a new or the given tenant would have."""
    stored = rules.obeyed(rules.TENANT, settings)
    refuse_taken(Tenant.objects.all(), tenant, stored, "email", "is another tenant's")
    return stored


def create_tenant(
    *,
    name: str,
    email: str,
    credits_per_usd: int = 1_000,
    tier: str = Tier.STARTER,
    uncovered_usage: str = Tenant.Uncovered.DEBT,
) -> Tenant:
    """A new business on this installation. Raises InvalidSetting."""
    stored = check_tenant(
        None,
        name=name,
        email=email,
        credits_per_usd=credits_per_usd,
        tier=tier,
        uncovered_usage=uncovered_usage,
    )
    return Tenant.objects.create(**stored)


def update_tenant(tenant: Tenant, **settings: Unpack[TenantSettings]) -> bool:
    """Change the given settings; whether anything differed. Raises InvalidSetting."""
    return write_changes(tenant, check_tenant(tenant, **settings))
