"""Charges without a hold, and refunds of all charges."""

import uuid
from typing import Any

from ledger.models import Account, Transfer
from ledger.operations import Debit, Receipt, Refund
from ledger.posting import post_receipt
from ledger.services.credits import wallet_of
from ledger.windows import NO_LIMITS, Limits
from paywalls.users import UserRef


def charge(
    user: UserRef,
    amount: int,
    *,
    source: str,
    request_id: uuid.UUID | None = None,
    limits: Limits = NO_LIMITS,
    metadata: dict[str, Any] | None = None,
) -> Receipt:
    """Charge an end user at once. `limits` are those for a wallet that has none of its own.

    Raises InsufficientFunds, SpendLimitReached or UnknownPaywall.
    """
    return post_receipt(
        Debit(
            wallet=user,
            amount=amount,
            source=source,
            kind=Transfer.Kind.CHARGE,
            counter=Account.Kind.REVENUE,
            request_id=request_id,
            limits=limits,
            metadata=metadata or {},
        )
    )


def refund(
    transfer_id: uuid.UUID,
    amount: int | None = None,
    *,
    source: str,
    metadata: dict[str, Any] | None = None,
) -> Receipt:
    """Give back a charge or usage, or a part of it (None: all that is left), into the credits that it burned.

    Raises NotCorrectable, or RefundTooLarge where more would go back than was charged, all refunds together.
    """
    return post_receipt(Refund(wallet_of(transfer_id), transfer_id, amount, source, metadata=metadata or {}))
