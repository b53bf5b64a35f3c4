"""What a tenant earns, and takes out."""

import uuid
from typing import Any

from ledger.errors import InsufficientFunds
from ledger.models import Account, Transfer
from ledger.operations import Debit, Earn, Receipt
from ledger.posting import post_receipt
from ledger.wallets import house_account_id


def earn(
    tenant_id: uuid.UUID, amount: int, *, source: str, metadata: dict[str, Any] | None = None
) -> Receipt:
    """Credit a tenant's earnings from its revenue. The tenant must have books: a user with a wallet."""
    account = house_account_id(tenant_id, Account.Kind.EARNINGS)
    kind, counter = Transfer.Kind.EARNING, Account.Kind.REVENUE
    return post_receipt(Earn(account, amount, source, kind, counter, metadata=metadata or {}))


def withdraw(
    tenant_id: uuid.UUID, amount: int, *, source: str, metadata: dict[str, Any] | None = None
) -> Receipt:
    """Take earnings out, to be paid to the tenant. Raises InsufficientFunds."""
    account = house_account_id(tenant_id, Account.Kind.EARNINGS)
    if not Account.objects.filter(pk=account).exists():
        raise InsufficientFunds(amount, 0)
    kind, counter = Transfer.Kind.WITHDRAWAL, Account.Kind.PAYOUTS
    return post_receipt(Debit(account, amount, source, kind, counter, metadata or {}))
