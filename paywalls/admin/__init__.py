"""The operators' pages of tenants, paywalls, keys, providers, models and end users."""

from paywalls.admin import catalogue, keys, paywalls, tenants, users

__all__ = ["catalogue", "keys", "paywalls", "tenants", "users"]
