"""The books, to be looked at. Every row here is written by `ledger.posting` only."""

from ledger.admin.books import accounts, holds, lots, transfers  # noqa: F401  (registers the pages)
