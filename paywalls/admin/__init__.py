"""The operators' pages of tenants, paywalls, keys, providers, models and end users."""

from paywalls.admin import (
    audit,
    catalogue,
    keys,
    metering,
    paywalls,
    plans,
    playgrounds,
    routes,
    team,
    tenants,
    users,
    wallets,
)

__all__ = [
    "audit",
    "catalogue",
    "keys",
    "metering",
    "paywalls",
    "plans",
    "playgrounds",
    "routes",
    "team",
    "tenants",
    "users",
    "wallets",
]
