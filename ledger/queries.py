"""Reading the books."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger.models import Account, Transfer
from paywalls.models import Paywall
from paywalls.users import UserRef


@dataclass(frozen=True, slots=True)
class Balance:
    """What a wallet owns and what of it open holds reserve (nano-dollars)."""

    posted: int
    held: int

    @property
    def available(self) -> int:
        """What can be spent now; below zero is debt."""
        return self.posted - self.held


def balance_of(user: UserRef) -> Balance:
    """The end user's balance. Somebody never seen has what the trial would give them; asking makes no wallet.

    Raises Paywall.DoesNotExist where the paywall is unknown.
    """
    wallet = Account.objects.filter(
        user__paywall_id=user.paywall_id, user__external_id=user.external_id
    ).values_list("posted", "held")
    if found := wallet.first():
        return Balance(*found)
    return Balance(Paywall.objects.values_list("trial_credit", flat=True).get(pk=user.paywall_id), 0)


@dataclass(frozen=True, slots=True)
class Page:
    """Transfers of a wallet, newest first; `next` is where the following page begins, None after the last."""

    transfers: list[Transfer]
    next: int | None


def transactions_of(
    user: UserRef,
    *,
    limit: int,
    before: int | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    request_id: uuid.UUID | None = None,
) -> Page:
    """A page of what moved an end user's balance, by the wallet's gapless versions; `before` is a page's `next`."""
    wallet = Account.objects.filter(user__paywall_id=user.paywall_id, user__external_id=user.external_id)
    key = wallet.values_list("pk", flat=True).first()
    if key is None:
        return Page([], None)
    wanted: dict[str, Any] = {
        "version__lt": before,
        "kind": kind,
        "created_at__gte": since,
        "created_at__lt": until,
        "request_id": request_id,
    }
    named = {lookup: value for lookup, value in wanted.items() if value is not None}
    found = list(Transfer.objects.filter(wallet_id=key, **named).order_by("-version")[: limit + 1])
    return Page(found[:limit], found[limit - 1].version if len(found) > limit else None)
