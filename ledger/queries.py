"""Reading the books."""

from dataclasses import dataclass

from ledger.models import Account
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
