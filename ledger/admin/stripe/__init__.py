"""Stripe: what is connected, and what came of it."""

from ledger.admin.stripe import accounts, events, payments, plans  # noqa: F401  (registers the pages)
