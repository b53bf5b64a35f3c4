"""Entitlements: how often a user may use a feature, and whether they may now."""
