"""Withdrawals: a tenant asks for its earnings, an operator approves, pays and says so, or refuses.

The amount leaves the earnings with the request, so that the same money can't be asked for twice; a refusal gives it
back. Amounts are nano-dollars.
"""

from django.db import transaction
from django.utils import timezone

from config import ids
from ledger.models import Account, Transfer, Withdrawal
from ledger.operations import Earn
from ledger.posting import post_receipt
from ledger.services.earnings import withdraw
from ledger.services.settlements import settle_tenant
from ledger.wallets import house_account_id
from paywalls.models import Paywall


class WrongState(Exception):
    """The withdrawal has gone another way meanwhile; the message says which."""


def earnings_of(paywall: Paywall) -> int:
    """What the paywall's tenant can withdraw now."""
    settle_tenant(paywall.tenant_id)
    account = house_account_id(paywall.tenant_id, Account.Kind.EARNINGS)
    return Account.objects.filter(pk=account).values_list("posted", flat=True).first() or 0


@transaction.atomic
def request_withdrawal(paywall: Paywall, amount: int) -> Withdrawal:
    """Ask for a part of the tenant's earnings. Raises InsufficientFunds where it is more than there is."""
    settle_tenant(paywall.tenant_id)
    made = Withdrawal(id=ids.new(), tenant_id=paywall.tenant_id, paywall=paywall, amount=amount)
    withdraw(paywall.tenant_id, amount, source=f"withdrawal:{made.pk.hex}")
    made.save(force_insert=True)
    made.refresh_from_db()
    return made


def approve_withdrawal(withdrawal: Withdrawal) -> None:
    """An operator agrees to pay it. Raises WrongState."""
    _move(withdrawal, (Withdrawal.State.REQUESTED,), Withdrawal.State.APPROVED, decided_at=timezone.now())


def mark_paid(withdrawal: Withdrawal, reference: str) -> None:
    """It was paid; `reference` is the payment's. Raises WrongState, also where it was not approved."""
    if not reference.strip():
        raise ValueError("reference: a payment needs one")
    _move(
        withdrawal,
        (Withdrawal.State.APPROVED,),
        Withdrawal.State.PAID,
        paid_at=timezone.now(),
        reference=reference.strip(),
    )


@transaction.atomic
def refuse_withdrawal(withdrawal: Withdrawal, reason: str) -> None:
    """It won't be paid: the earnings have it again. Raises WrongState."""
    unpaid = (Withdrawal.State.REQUESTED, Withdrawal.State.APPROVED)
    _move(withdrawal, unpaid, Withdrawal.State.REFUSED, decided_at=timezone.now(), reason=reason.strip())
    account = house_account_id(withdrawal.tenant_id, Account.Kind.EARNINGS)
    source, kind = f"withdrawal:{withdrawal.pk.hex}:refused", Transfer.Kind.WITHDRAWAL
    post_receipt(Earn(account, withdrawal.amount, source, kind, Account.Kind.PAYOUTS))


def _move(withdrawal: Withdrawal, before: tuple[str, ...], after: str, **more: object) -> None:
    if not Withdrawal.objects.filter(pk=withdrawal.pk, state__in=before).update(state=after, **more):
        withdrawal.refresh_from_db()
        raise WrongState(f"it is {withdrawal.get_state_display().lower()}")
    withdrawal.refresh_from_db()
