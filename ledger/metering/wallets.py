"""A tenant's wallets in credits: the customer's own, its teams' and its users'."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from config.sql import Work
from ledger import book, posting, wallets
from ledger.errors import Refusal
from ledger.models import Account, Lot, Transfer
from ledger.operations import Credit, Receipt
from paywalls.users import UserRef


@dataclass(frozen=True, slots=True)
class TeamRef:
    """A team as the app names it."""

    tenant_id: uuid.UUID
    external_id: str


@dataclass(frozen=True, slots=True)
class CustomerRef:
    """The tenant itself."""

    tenant_id: uuid.UUID


Owner = UserRef | TeamRef | CustomerRef

# What a transaction is called on the metering API; others go by their sign.
TYPES = {
    Transfer.Kind.DEPOSIT.value: "PURCHASE",
    Transfer.Kind.REFUND.value: "REFUND",
    Transfer.Kind.REVERSAL.value: "REFUND",
    Transfer.Kind.EXPIRY.value: "EXPIRATION",
}


@dataclass(frozen=True, slots=True)
class Balance:
    """Nano-dollars. Credit whose time is over counts no more, also before the worker has taken it."""

    posted: int
    held: int
    expires_at: datetime | None


def purchase(
    user: UserRef, amount: int, *, source: str, expires_at: datetime | None, metadata: dict[str, Any]
) -> Receipt:
    """Credit that a user paid the tenant for. Raises BalanceTooLarge or Contention."""
    return _credit(
        user,
        amount,
        source=source,
        kind=Transfer.Kind.DEPOSIT,
        counter=Account.Kind.DEPOSITS,
        lot_kind=book.PAID,
        expires_at=expires_at,
        metadata=metadata,
    )


def grant(
    owner: Owner, amount: int, *, source: str, expires_at: datetime | None, metadata: dict[str, Any]
) -> Receipt:
    """Credit that nobody paid for. Raises BalanceTooLarge, SourceReused or Contention."""
    return _credit(
        owner,
        amount,
        source=source,
        kind=Transfer.Kind.GRANT,
        counter=Account.Kind.PROMOTIONS,
        lot_kind=book.GRANTED,
        expires_at=expires_at,
        metadata=metadata,
    )


def grant_source(tenant_id: uuid.UUID, idempotency_key: str) -> str:
    """The source of a grant with a key: one for ever in its tenant."""
    return f"grant:{tenant_id.hex}:{hashlib.sha256(idempotency_key.encode()).hexdigest()}"


def balance(account: Account) -> Balance:
    """What a wallet has now."""
    lapsed = 0
    if account.next_expiry and account.next_expiry <= timezone.now():
        lots = Lot.objects.filter(account=account, is_live=True)
        over = lots.filter(expires_at__lte=timezone.now()).aggregate(total=Sum("remaining"))["total"] or 0
        lapsed = min(over, max(0, account.available))
        live = lots.filter(expires_at__gt=timezone.now()).order_by("expires_at")
        soonest = live.values_list("expires_at", flat=True).first()
    else:
        soonest = account.next_expiry
    return Balance(account.posted - lapsed, account.held, soonest)


def transactions(account: Account, limit: int, offset: int) -> list[Transfer]:
    """What changed a wallet, newest first. Versions have no gap: a page far down costs no more than the first."""
    newest = account.version - offset
    page = Transfer.objects.filter(wallet=account, version__lte=newest, version__gt=newest - limit)
    return list(page.order_by("-version"))


def type_of(transfer: Transfer) -> str:
    """What the metering API calls this kind of transfer."""
    return TYPES.get(transfer.kind) or (
        "GRANT" if transfer.balance_after > transfer.balance_before else "BURN"
    )


def _credit(owner: Owner, amount: int, **settings: Any) -> Receipt:
    receipt: Receipt = posting.run(lambda: _steps(owner, amount, settings))
    return receipt


def _steps(owner: Owner, amount: int, settings: dict[str, Any]) -> Work:
    wallet: uuid.UUID | UserRef
    match owner:
        case UserRef():
            wallet = owner
        case TeamRef():
            found = yield from wallets.teams_of(owner.tenant_id, [owner.external_id])
            _, wallet = found[owner.external_id]
        case CustomerRef():
            wallet = yield from wallets.customer_of(owner.tenant_id)
    [outcome] = yield from posting.steps([Credit(wallet=wallet, amount=amount, **settings)])
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome
