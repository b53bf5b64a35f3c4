"""The operators' pages of the ledger: the books to look at, and what somebody has to decide."""

from ledger.admin import (  # noqa: F401  (registers the pages)
    attention,
    books,
    earnings,
    entitlements,
    metering,
    requests,
    stripe,
    topups,
)
