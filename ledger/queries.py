"""Reading the books."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from ledger.models import Account, Transfer
from paywalls.models import Connection, EndUser, Paywall
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


def wallet_of(user: UserRef) -> QuerySet[Account]:
    """The wallet that pays for an end user: their own, or in shared mode the one that they are connected to."""
    named = EndUser.objects.filter(paywall_id=user.paywall_id, external_id=user.external_id)
    connected = Connection.objects.filter(user__in=named, ended_at=None)
    return Account.objects.filter(Q(user__in=named) | Q(user__wallet_user__connections__in=connected))


def balance_of(user: UserRef) -> Balance:
    """The end user's balance. Somebody never seen has what the trial would give them; asking makes no wallet.

    Raises Paywall.DoesNotExist where the paywall is unknown.
    """
    if found := wallet_of(user).values_list("posted", "held").first():
        return Balance(*found)
    return Balance(Paywall.objects.values_list("trial_credit", flat=True).get(pk=user.paywall_id), 0)


def wallet_is_shared(user: UserRef) -> bool:
    """Whether the end user's paywall is in shared mode."""
    return Paywall.objects.filter(pk=user.paywall_id, mode=Paywall.Mode.SHARED).exists()


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
    key = wallet_of(user).values_list("pk", flat=True).first()
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
    if wallet_is_shared(user):
        # What else the wallet pays for is no app's business.
        named |= {
            "split__connection__user__paywall_id": user.paywall_id,
            "split__connection__user__external_id": user.external_id,
        }
    found = list(Transfer.objects.filter(wallet_id=key, **named).order_by("-version")[: limit + 1])
    return Page(found[:limit], found[limit - 1].version if len(found) > limit else None)
