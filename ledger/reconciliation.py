"""Lost requests: closed by what is known, or by the deadline. Amounts are nano-dollars."""

from django.db import transaction
from django.utils import timezone

from ledger.models import ReconciliationItem
from ledger.operations import Resolved
from ledger.services import settle

State = ReconciliationItem.State


def close_overdue() -> int:
    """Leave released what nobody has said a charge for until its deadline; the number of items closed."""
    now = timezone.now()
    return ReconciliationItem.objects.filter(state=State.OPEN, deadline__lte=now).update(
        state=State.RELEASED, closed_at=now, note="Nothing was known at the deadline."
    )


def charge_lost(item: ReconciliationItem, amount: int, *, actor: str, note: str = "") -> Resolved:
    """Charge a lost request what an operator knows that it cost, more than nothing. The wallet may end in debt.

    Raises HoldNotOpen where the hold can't be charged. What was charged before stays as it is.
    """
    if amount <= 0:
        raise ValueError("a charge is more than nothing")
    with transaction.atomic():
        done = settle(
            item.hold.account_id,
            item.hold_id,
            amount,
            metadata={"reconciled_by": actor, **({"note": note} if note else {})},
        )
        _sign(item, actor, note)
    return done


def leave_released(item: ReconciliationItem, *, actor: str, note: str = "") -> bool:
    """Close an item without a charge; False where it was closed before."""
    closed = ReconciliationItem.objects.filter(pk=item.pk, state=State.OPEN).update(
        state=State.RELEASED, closed_at=timezone.now(), closed_by=actor, note=note
    )
    return bool(closed)


def _sign(item: ReconciliationItem, actor: str, note: str) -> None:
    ReconciliationItem.objects.filter(pk=item.pk, closed_by="").update(closed_by=actor, note=note)
