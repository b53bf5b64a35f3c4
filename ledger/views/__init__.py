"""The ledger's part of the paywall API."""
