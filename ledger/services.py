"""The verbs of money, for everybody but the gateway. Each is idempotent by its `source`; amounts are nano-dollars."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection

from ledger.errors import HoldNotOpen, Refusal
from ledger.models import Account, Transfer
from ledger.operations import Credit, Debit, OpenWallet, Operation, Receipt, Sweep
from ledger.posting import post, post_one
from paywalls.models import EndUser
from paywalls.users import UserRef

# Stale holds taken in one transaction.
SWEEP_BATCH = 500


def deposit(user: UserRef, amount: int, *, source: str, metadata: dict[str, Any] | None = None) -> Receipt:
    """Add money that the app took itself. Raises BalanceTooLarge, SourceReused, UnknownPaywall or Contention."""
    return _moved(
        Credit(
            wallet=user,
            amount=amount,
            source=source,
            kind=Transfer.Kind.DEPOSIT,
            counter=Account.Kind.DEPOSITS,
            metadata=metadata or {},
        )
    )


def sandbox_deposit(user: UserRef, amount: int, *, source: str) -> Receipt:
    """Add money from the sandbox checkout: it is nobody's, and its house account keeps it apart. Raises as deposit."""
    return _moved(
        Credit(
            wallet=user,
            amount=amount,
            source=source,
            kind=Transfer.Kind.DEPOSIT,
            counter=Account.Kind.SANDBOX,
        )
    )


def charge(user: UserRef, amount: int, *, source: str, metadata: dict[str, Any] | None = None) -> Receipt:
    """Charge an end user at once. Raises InsufficientFunds, SourceReused, UnknownPaywall or Contention."""
    return _moved(
        Debit(
            wallet=user,
            amount=amount,
            source=source,
            kind=Transfer.Kind.CHARGE,
            counter=Account.Kind.REVENUE,
            metadata=metadata or {},
        )
    )


def ensure_user(user: UserRef) -> EndUser:
    """The end user, made with wallet and trial credit where they are new. Raises UnknownPaywall or Contention."""
    found = EndUser.objects.filter(
        paywall_id=user.paywall_id, external_id=user.external_id, wallet__isnull=False
    ).first()
    if found is None:
        post_one(OpenWallet(user))
        found = EndUser.objects.get(paywall_id=user.paywall_id, external_id=user.external_id)
    return found


def sweep_stale_holds(limit: int = SWEEP_BATCH) -> int:
    """Expire holds past their deadline, whose process died; the number of holds expired.

    Safe beside everything: the hold is looked at again under its wallet's lock, and who resolved it first wins.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT account_id, id FROM ledger_hold
            WHERE state = 'open' AND expires_at <= clock_timestamp() ORDER BY expires_at LIMIT %s
            """,
            [limit],
        )
        stale: list[tuple[uuid.UUID, uuid.UUID]] = cursor.fetchall()
    sweeps: Sequence[Operation] = [Sweep(account_id, hold_id) for account_id, hold_id in stale]
    outcomes = post(sweeps) if sweeps else []
    for outcome in outcomes:
        if isinstance(outcome, Refusal) and not isinstance(outcome, HoldNotOpen):
            raise outcome
    return sum(not isinstance(outcome, Refusal) for outcome in outcomes)


def _moved(operation: Credit | Debit) -> Receipt:
    receipt = post_one(operation)
    assert isinstance(receipt, Receipt)
    return receipt
