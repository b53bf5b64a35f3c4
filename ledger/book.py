"""The rules of one account, pure: state + operation -> new state + movements, or a refusal.

No Django and no clock in here: `now` comes from the caller. Property tests drive these functions against a naive
reference, and `posting.py` drives them against PostgreSQL. How lots burn is in `lots.py`, spend windows are in
`windows.py`, refunds and reversals in `corrections.py`. All amounts are nano-dollars.

What each request makes is a named tuple: a frozen dataclass takes three times as long to make.
"""

import uuid
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import NamedTuple

from config.money import NANO
from ledger import lots as burning
from ledger.errors import BalanceTooLarge, HoldNotOpen, InsufficientFunds, Refusal
from ledger.lots import GRANTED, PAID, TRIAL, Lot, Parts
from ledger.windows import NO_LIMITS, UNUSED, Limits, Windows

__all__ = ["GRANTED", "PAID", "TRIAL", "Lot"]  # the book's words, wherever they are kept

# The most that a wallet may own: a billion dollars, an eighth of what a BIGINT of nano-dollars can hold.
MAX_BALANCE = 1_000_000_000 * NANO
OWES_TOO_MUCH = f"a wallet owes at most {MAX_BALANCE // NANO} USD"

OPEN, CAPTURED, RELEASED, EXPIRED = "open", "captured", "released", "expired"


class Account(NamedTuple):
    """A wallet's running state. `lots` are the live ones, in burn order."""

    posted: int = 0
    held: int = 0
    version: int = 0
    lots: tuple[Lot, ...] = ()
    windows: Windows = UNUSED

    @property
    def available(self) -> int:
        """What can be spent or held; below zero is debt."""
        return self.posted - self.held

    @property
    def debt(self) -> int:
        """What is owed; the next credit pays it."""
        return max(0, -self.posted)

    @property
    def next_expiry(self) -> datetime | None:
        """The earliest expiry among the live lots."""
        return min([lot.expires_at for lot in self.lots if lot.expires_at], default=None)

    def holding(self, held: int, windows: Windows) -> "Account":
        """The account with other holds."""
        return Account(self.posted, held, self.version, self.lots, windows)

    def burning(self, lots: tuple[Lot, ...]) -> "Account":
        """The account with other live lots."""
        return Account(self.posted, self.held, self.version, lots, self.windows)


class Hold(NamedTuple):
    """A reservation of `amount`; `captured` is what was charged of it, or beyond it.

    `counted_on` is the day (UTC) in whose spend windows it counts.
    """

    id: uuid.UUID
    amount: int
    state: str = OPEN
    captured: int = 0
    counted_on: date | None = None


class Movement(NamedTuple):
    """One change of `posted`: `amount` is positive into the wallet and negative out of it.

    `lots` lists what each lot gained or gave; what debt swallowed or made is in none. `expired` marks the movement
    that takes an expired lot, which the operation did not ask for.
    """

    amount: int
    balance_before: int
    version: int
    lots: Parts
    expired: uuid.UUID | None = None

    @property
    def balance_after(self) -> int:
        return self.balance_before + self.amount


class Change(NamedTuple):
    """What an operation did: the new account, its movements in order, the hold it touched, the lots it made."""

    account: Account
    movements: tuple[Movement, ...] = ()
    hold: Hold | None = None
    new_lots: tuple[Lot, ...] = ()

    @property
    def asked(self) -> Movement | None:
        """The movement that the operation asked for, among those of lots that expired before or after it."""
        return next((movement for movement in self.movements if not movement.expired), None)


def place_hold(account: Account, hold: Hold, now: datetime, limits: Limits = NO_LIMITS) -> Change:
    """Reserve the hold's amount.

    Raises SpendLimitReached, which no top-up cures, and InsufficientFunds, also for a hold of nothing on a wallet in
    debt.
    """
    account, expired = expire_lots(account, now)
    windows = account.windows.spend(hold.amount, limits, now)
    if hold.amount > account.available:
        raise InsufficientFunds(hold.amount, account.available)
    account = account.holding(account.held + hold.amount, windows)
    return Change(account, expired, Hold(hold.id, hold.amount, hold.state, hold.captured, windows.day))


def capture(account: Account, hold: Hold, amount: int, now: datetime) -> Change:
    """Charge `amount` for the hold and free the rest of it.

    A settlement always writes: `amount` may be over what was held, and the wallet may then be below zero. It also
    writes where the sweeper had taken the hold (its request was slower than the deadline). Raises HoldNotOpen
    where the hold was captured or released before.
    """
    if hold.state not in (OPEN, EXPIRED):
        raise HoldNotOpen(hold.id, hold.state)
    account, expired = expire_lots(account, now)
    freed = hold.amount if hold.state == OPEN else 0
    windows = account.windows.correct(amount - freed, hold.counted_on)
    account = account.holding(account.held - freed, windows)
    account, taken = take(account, amount)
    return Change(account, (*expired, *taken), Hold(hold.id, hold.amount, CAPTURED, amount, hold.counted_on))


def release(account: Account, hold: Hold, *, as_state: str = RELEASED) -> Change:
    """Free what was held; no money moves. Raises HoldNotOpen where it was resolved before."""
    if hold.state != OPEN:
        raise HoldNotOpen(hold.id, hold.state)
    windows = account.windows.correct(-hold.amount, hold.counted_on)
    account = account.holding(account.held - hold.amount, windows)
    return Change(account, (), hold._replace(state=as_state))


def credit(account: Account, lot: Lot, now: datetime) -> Change:
    """Add a new lot. Debt is paid from it first, so that only the rest can burn. Raises BalanceTooLarge."""
    return receive(account, (lot,), now)


def receive(account: Account, lots: tuple[Lot, ...], now: datetime) -> Change:
    """Add new lots in one movement; debt is paid from the first ones first. Raises BalanceTooLarge."""
    account, expired = expire_lots(account, now)
    amount, owed = sum(lot.amount for lot in lots), account.debt
    if account.posted + amount > MAX_BALANCE:
        raise BalanceTooLarge(f"a wallet holds at most {MAX_BALANCE // NANO} USD")
    parts = []
    for lot in lots:
        paid = min(owed, lot.amount)
        owed -= paid
        if paid < lot.amount:
            parts.append((lot, lot.amount - paid))
    live, gained = burning.put(account.lots, parts)
    account, movement = move(account, amount, live, gained)
    return Change(account, (*expired, movement), new_lots=lots)


def debit(account: Account, amount: int, now: datetime) -> Change:
    """Take `amount` at once, from what no hold reserves. Raises InsufficientFunds."""
    account, expired = expire_lots(account, now)
    if amount > account.available:
        raise InsufficientFunds(amount, account.available)
    account, taken = take(account, amount)
    return Change(account, (*expired, *taken))


def owe(account: Account, amount: int, now: datetime) -> Change:
    """Take `amount` at once, covered or not: the rest becomes debt. Raises BalanceTooLarge where that is absurd."""
    account, expired = expire_lots(account, now)
    if account.posted - amount < -MAX_BALANCE:
        raise BalanceTooLarge(OWES_TOO_MUCH)
    account, taken = take(account, amount)
    return Change(account, (*expired, *taken))


def burn_each(
    account: Account, amounts: Iterable[int], now: datetime, *, overdraw: bool
) -> tuple[Change, list[Movement | Refusal]]:
    """`owe` (or `debit`, where it may not `overdraw`) each amount in turn: the movement or the refusal of each.

    The change holds the account after all of them, and only what expired before the first.
    """
    account, expired = expire_lots(account, now)
    posted, version, lots = account.posted, account.version, list(account.lots)
    first, left = 0, lots[0].remaining if lots else 0
    each: list[Movement | Refusal] = []
    for amount in amounts:
        if not overdraw and amount > posted - account.held:
            each.append(InsufficientFunds(amount, posted - account.held))
            continue
        if posted - amount < -MAX_BALANCE:
            each.append(BalanceTooLarge(OWES_TOO_MUCH))
            continue
        parts, rest = [], amount
        while rest and first < len(lots):
            part = min(rest, left)
            parts.append((lots[first].id, -part))
            rest, left = rest - part, left - part
            if not left:
                first += 1
                left = lots[first].remaining if first < len(lots) else 0
        version += 1
        each.append(Movement(-amount, posted, version, tuple(parts)))
        posted -= amount
    live = lots[first:]
    if live and live[0].remaining != left:
        live[0] = live[0].with_remaining(left)
    return Change(Account(posted, account.held, version, tuple(live), account.windows), expired), each


def charge(account: Account, amount: int, now: datetime, limits: Limits = NO_LIMITS) -> Change:
    """A debit that counts in the spend windows. Raises SpendLimitReached and InsufficientFunds."""
    windows = account.windows.spend(amount, limits, now)
    return debit(account._replace(windows=windows), amount, now)


def transfer(
    payer: Account, payee: Account, amount: int, now: datetime, new_id: Callable[[], uuid.UUID]
) -> tuple[Change, Change]:
    """Move credit from one wallet to another; each part keeps its kind, priority and expiry.

    What the payee owes is paid from it first. Raises InsufficientFunds and BalanceTooLarge.
    """
    paid = debit(payer, amount, now)
    assert paid.asked
    lots = {lot.id: lot for lot in payer.lots}
    arriving = tuple(
        lots[lot_id]._replace(id=new_id(), amount=-part, remaining=-part, created_at=now)
        for lot_id, part in paid.asked.lots
    )
    return paid, receive(payee, arriving, now)


def earn(account: Account, amount: int) -> Change:
    """Add to an account of earnings. They never expire nor burn in an order, so they are in no lot."""
    account, movement = move(account, amount, account.lots, ())
    return Change(account, (movement,))


def expire(account: Account, now: datetime) -> Change:
    """Take the expired lots, but for what open holds need of them."""
    account, movements = expire_lots(account, now)
    return Change(account, movements)


# --- What the verbs are made of --------------------------------------------------------------------------


def move(account: Account, amount: int, lots: tuple[Lot, ...], parts: Parts) -> tuple[Account, Movement]:
    """One movement, with the live lots that it leaves."""
    movement = Movement(amount, account.posted, account.version + 1, parts)
    now = Account(movement.balance_after, account.held, movement.version, lots, account.windows)
    return now, movement


def take(
    account: Account, amount: int, *, first: uuid.UUID | None = None
) -> tuple[Account, tuple[Movement, ...]]:
    """Burn `amount` from the lots in order (`first` before the others); what they don't cover becomes debt."""
    if amount == 0:
        return account, ()
    lots, parts = burning.burn(account.lots, amount, first=first)
    account, movement = move(account, -amount, lots, parts)
    return account, (movement,)


def expire_lots(account: Account, now: datetime) -> tuple[Account, tuple[Movement, ...]]:
    """Expiry takes min(lot.remaining, posted - held) of each expired lot, in burn order."""
    movements: list[Movement] = []
    for lot in account.lots:
        if not lot.has_expired(now):
            continue
        part = min(lot.remaining, account.available)
        if part <= 0:
            break
        lots, parts = burning.burn(account.lots, part, first=lot.id)
        account, movement = move(account, -part, lots, parts)
        movements.append(movement._replace(expired=lot.id))
    return account, tuple(movements)
