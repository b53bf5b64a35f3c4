"""Giving back and taking back: refunds of charges and reversals of credits. Pure; amounts are nano-dollars."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ledger import lots as burning
from ledger.book import Account, Change, expire_lots, move, take
from ledger.errors import RefundTooLarge
from ledger.lots import GRANTED, Lot


@dataclass(frozen=True, slots=True)
class Original:
    """The transfer to be corrected: its amount, what each lot gave or gained, and what was corrected before.

    What the lots don't cover of `amount` was debt.
    """

    amount: int
    parts: tuple[tuple[Lot, int], ...] = ()
    corrected: int = 0

    @property
    def left(self) -> int:
        """The most that can still be given or taken back."""
        return self.amount - self.corrected

    def check(self, amount: int) -> None:
        """Raises RefundTooLarge where all corrections together would be more than the original."""
        if amount > self.left:
            raise RefundTooLarge(amount, self.left)


def refund(account: Account, charge: Original, amount: int, now: datetime, new_id: uuid.UUID) -> Change:
    """Give back `amount` of a charge, into the very lots that it burned, last burned first.

    So the lots are as if the charge had been that much smaller. What the wallet owes now is paid first. What had been
    debt, and was paid since, comes back as a granted lot (`new_id`) without expiry. A part that goes to an expired
    lot expires again at once. Spend windows stay as they are. Raises RefundTooLarge.
    """
    charge.check(amount)
    account, expired = expire_lots(account, now)
    returning = list(_returning(charge, amount))
    was_debt = amount - sum(part for _, part in returning)
    owed = account.debt
    paid = min(owed, was_debt)
    fresh, owed = was_debt - paid, owed - paid
    into: list[tuple[Lot, int]] = []
    for lot, part in returning:
        paid = min(owed, part)
        owed -= paid
        if paid < part:
            into.append((lot, part - paid))
    new_lots = (Lot(new_id, GRANTED, fresh, fresh, now),) if fresh else ()
    live, parts = burning.put(account.lots, [*into, *((lot, lot.amount) for lot in new_lots)])
    account, movement = move(account, amount, live, parts)
    account, again = expire_lots(account, now)
    return Change(account, (*expired, movement, *again), new_lots=new_lots)


def reverse(account: Account, credit: Original, amount: int, now: datetime) -> Change:
    """Take back `amount` of a credit: from its own lot first, then from the others in burn order, then as debt.

    For money that is gone (a dispute, a refund of the payment), so it may leave the wallet below zero.
    Raises RefundTooLarge.
    """
    credit.check(amount)
    account, expired = expire_lots(account, now)
    own = credit.parts[0][0].id if credit.parts else None
    account, taken = take(account, amount, first=own)
    return Change(account, (*expired, *taken))


def _returning(charge: Original, amount: int) -> Iterable[tuple[Lot, int]]:
    """What of each burned lot is in the last `amount` of the charge that was not given back; last burned first."""
    end = charge.left
    start = end - amount
    at, found = 0, []
    for lot, part in charge.parts:
        overlap = min(at + part, end) - max(at, start)
        if overlap > 0:
            found.append((lot, overlap))
        at += part
    return reversed(found)
