"""What can be spent: by one end user, or by all of a tenant's wallets together; and what moved last."""

import uuid

from django.db.models import Sum

from ledger.models import Account, Transfer
from ledger.queries import Balance


def of_user(paywall_id: uuid.UUID | None, user_id: str) -> Balance | None:
    """An end user's balance; None where they have no wallet."""
    if paywall_id is None:
        return None
    found = Account.objects.filter(user__paywall_id=paywall_id, user__external_id=user_id)
    row = found.values_list("posted", "held").first()
    return Balance(*row) if row else None


def of_all(tenant_id: uuid.UUID) -> Balance:
    """All wallets of a tenant together."""
    wallets = Account.objects.filter(tenant_id=tenant_id, kind=Account.Kind.WALLET)
    sums = wallets.aggregate(posted=Sum("posted", default=0), held=Sum("held", default=0))
    return Balance(int(sums["posted"]), int(sums["held"]))


def last_transfers(tenant_id: uuid.UUID, limit: int) -> list[Transfer]:
    """The tenant's last movements, newest first."""
    return list(Transfer.objects.filter(tenant_id=tenant_id).order_by("-created_at", "-id")[:limit])
