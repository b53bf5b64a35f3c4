"""The tables of money. One idea a file; accounts, transfers, holds and lots are written by `ledger.posting` only."""

from ledger.models.account import Account
from ledger.models.alert import OperatorAlert
from ledger.models.autotopup import AutoTopUp
from ledger.models.hold import Hold
from ledger.models.idempotency import IdempotencyKey
from ledger.models.lot import Lot
from ledger.models.reconciliation import ReconciliationItem
from ledger.models.topup import TopUpLink
from ledger.models.transfer import Transfer

__all__ = [
    "Account",
    "AutoTopUp",
    "Hold",
    "IdempotencyKey",
    "Lot",
    "OperatorAlert",
    "ReconciliationItem",
    "TopUpLink",
    "Transfer",
]
