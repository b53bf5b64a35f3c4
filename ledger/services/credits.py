"""Credit that comes and goes without being spent: deposits, grants, reversals, expiry, adjustments."""

import uuid
from datetime import datetime
from typing import Any

from django.db import connection

from ledger import book
from ledger.errors import NotCorrectable, Refusal
from ledger.lots import DEFAULT_PRIORITY
from ledger.models import Account, Transfer
from ledger.operations import Credit, Debit, Expire, Receipt, Reverse
from ledger.posting import post, post_receipt
from paywalls.users import UserRef

# Wallets of which the expired credits are taken in one transaction.
EXPIRY_BATCH = 500


def deposit(
    user: UserRef,
    amount: int,
    *,
    source: str,
    request_id: uuid.UUID | None = None,
    metadata: dict[str, Any] | None = None,
) -> Receipt:
    """Add money that the app took itself. Raises BalanceTooLarge or UnknownPaywall."""
    return post_receipt(
        Credit(
            wallet=user,
            amount=amount,
            source=source,
            kind=Transfer.Kind.DEPOSIT,
            counter=Account.Kind.DEPOSITS,
            request_id=request_id,
            metadata=metadata or {},
        )
    )


def sandbox_deposit(user: UserRef, amount: int, *, source: str) -> Receipt:
    """Add money from the sandbox checkout: it is nobody's, and its house account keeps it apart. Raises as deposit."""
    return post_receipt(
        Credit(
            wallet=user,
            amount=amount,
            source=source,
            kind=Transfer.Kind.DEPOSIT,
            counter=Account.Kind.SANDBOX,
        )
    )


def grant(
    user: UserRef,
    amount: int,
    *,
    source: str,
    expires_at: datetime | None = None,
    priority: int = DEFAULT_PRIORITY,
    metadata: dict[str, Any] | None = None,
) -> Receipt:
    """Give credit that nobody paid for, such as a promotion. Raises BalanceTooLarge or UnknownPaywall.

    The smaller the priority (0 to 100), the sooner it burns, whatever expires first.
    """
    if not 0 <= priority <= 100:
        raise ValueError("priority: must be from 0 (burns first) to 100")
    return post_receipt(
        Credit(
            wallet=user,
            amount=amount,
            source=source,
            kind=Transfer.Kind.GRANT,
            counter=Account.Kind.PROMOTIONS,
            lot_kind=book.GRANTED,
            expires_at=expires_at,
            priority=priority,
            metadata=metadata or {},
        )
    )


def reverse(
    transfer_id: uuid.UUID,
    amount: int | None = None,
    *,
    source: str,
    metadata: dict[str, Any] | None = None,
) -> Receipt:
    """Take back a deposit or grant, or a part of it, because its money is gone (a dispute, a refunded payment).

    First from its own lot, then from the wallet's other credit, then as debt. Raises NotCorrectable, or
    RefundTooLarge where more would go back than came.
    """
    return post_receipt(Reverse(wallet_of(transfer_id), transfer_id, amount, source, metadata=metadata or {}))


def adjust(user: UserRef, amount: int, *, source: str, reason: str, actor: str) -> Receipt:
    """Correct a balance by hand: add (as granted credit), or take where `amount` is below zero.

    Raises ValueError without a reason, an actor or an amount; InsufficientFunds where it would take more than there is.
    """
    if not (reason.strip() and actor.strip() and amount):
        raise ValueError("an adjustment needs an amount, a reason and who made it")
    metadata = {"reason": reason.strip(), "actor": actor.strip()}
    kind, counter = Transfer.Kind.ADJUSTMENT, Account.Kind.ADJUSTMENTS
    if amount < 0:
        return post_receipt(Debit(user, -amount, source, kind, counter, metadata))
    return post_receipt(Credit(user, amount, source, kind, counter, lot_kind=book.GRANTED, metadata=metadata))


def expire_credits(limit: int = EXPIRY_BATCH) -> int:
    """Take expired credits to breakage; the number of wallets that were looked at, 0 when nothing is left to do.

    Safe twice and beside spending: each wallet is looked at again under its lock. What open holds need stays, and
    goes once they are resolved.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT account_id FROM (
                SELECT account_id FROM ledger_lot l
                WHERE is_live AND expires_at <= statement_timestamp() AND EXISTS (
                    SELECT 1 FROM ledger_account a WHERE a.id = l.account_id AND a.posted > a.held
                )
                ORDER BY expires_at LIMIT %s
            ) due
            """,
            [limit],
        )
        wallets = [account_id for (account_id,) in cursor.fetchall()]
    outcomes = post([Expire(wallet) for wallet in wallets]) if wallets else []
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            raise outcome
    return len(wallets)


def wallet_of(transfer_id: uuid.UUID) -> uuid.UUID:
    """The wallet that a transfer moved. Raises NotCorrectable where there is no such transfer."""
    found = Transfer.objects.filter(pk=transfer_id).values_list("wallet_id", flat=True).first()
    if found is None:
        raise NotCorrectable(f"there is no transfer {transfer_id}")
    return found
