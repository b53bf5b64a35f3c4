"""The verbs of money, for everybody but the gateway. Each is idempotent by its `source`; amounts are nano-dollars.

A verb answers the receipt of its transfer, the first one where the source is known (`replayed`). It raises the ledger's
refusal where it changes nothing, SourceReused where the source had another effect, and Contention where the database
stayed busy.
"""

from ledger.services.charges import charge, refund
from ledger.services.credits import adjust, deposit, expire_credits, grant, reverse, sandbox_deposit
from ledger.services.earnings import earn, withdraw
from ledger.services.holds import capture, hold, release, settle, sweep_stale_holds
from ledger.services.settlements import settle_earnings
from ledger.services.wallets import (
    WalletSettings,
    configure_wallet,
    ensure_user,
    payer_of,
    transfer,
    wallet_settings,
)
from ledger.services.withdrawals import (
    approve_withdrawal,
    earnings_of,
    mark_paid,
    refuse_withdrawal,
    request_withdrawal,
)

__all__ = [
    "WalletSettings",
    "adjust",
    "approve_withdrawal",
    "capture",
    "charge",
    "configure_wallet",
    "deposit",
    "earn",
    "earnings_of",
    "ensure_user",
    "expire_credits",
    "grant",
    "hold",
    "mark_paid",
    "payer_of",
    "refund",
    "refuse_withdrawal",
    "release",
    "request_withdrawal",
    "reverse",
    "sandbox_deposit",
    "settle",
    "settle_earnings",
    "sweep_stale_holds",
    "transfer",
    "wallet_settings",
    "withdraw",
]
