"""The tables of money. One idea a file; only `ledger.posting` writes them."""

from ledger.models.account import Account
from ledger.models.hold import Hold
from ledger.models.lot import Lot
from ledger.models.topup import TopUpLink
from ledger.models.transfer import Transfer

__all__ = ["Account", "Hold", "Lot", "TopUpLink", "Transfer"]
