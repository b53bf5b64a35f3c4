"""The rules of one account, pure: state + operation -> new state + movements, or a refusal.

No Django and no clock in here: `now` comes from the caller. Property tests drive these functions against a naive
reference, and `posting.py` drives them against PostgreSQL. All amounts are nano-dollars.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from config.money import NANO
from ledger.errors import BalanceTooLarge, HoldNotOpen, InsufficientFunds

# The most that a wallet may own: a billion dollars, an eighth of what a BIGINT of nano-dollars can hold.
MAX_BALANCE = 1_000_000_000 * NANO

PAID, GRANTED, TRIAL = "paid", "granted", "trial"
OPEN, CAPTURED, RELEASED, EXPIRED = "open", "captured", "released", "expired"

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lot:
    """A credit of which `remaining` can still burn."""

    id: uuid.UUID
    kind: str
    amount: int
    remaining: int
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def burn_key(self) -> tuple[datetime, bool, datetime, uuid.UUID]:
        """Soonest expiry first, then granted before paid, then oldest, then id."""
        return (self.expires_at or _NEVER, self.kind == PAID, self.created_at, self.id)


@dataclass(frozen=True, slots=True)
class Account:
    """A wallet's running state. `lots` are the live ones, in burn order."""

    posted: int = 0
    held: int = 0
    version: int = 0
    lots: tuple[Lot, ...] = ()

    @property
    def available(self) -> int:
        """What can be spent or held; below zero is debt."""
        return self.posted - self.held

    @property
    def next_expiry(self) -> datetime | None:
        """The earliest expiry among the live lots."""
        return min((lot.expires_at for lot in self.lots if lot.expires_at), default=None)


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation of `amount`; `captured` is what was charged of it, or beyond it."""

    id: uuid.UUID
    amount: int
    state: str = OPEN
    captured: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """One change of `posted`: `amount` is positive into the wallet and negative out of it.

    `lots` lists what each lot gained or gave; what debt swallowed or made is in none. `expired` marks the movement
    that takes an expired lot, which the operation did not ask for.
    """

    amount: int
    balance_before: int
    version: int
    lots: tuple[tuple[uuid.UUID, int], ...]
    expired: uuid.UUID | None = None

    @property
    def balance_after(self) -> int:
        return self.balance_before + self.amount


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation did: the new account, its movements in order, and the hold it touched."""

    account: Account
    movements: tuple[Movement, ...] = ()
    hold: Hold | None = None


def place_hold(account: Account, hold: Hold, now: datetime) -> Change:
    """Reserve the hold's amount. Raises InsufficientFunds, also for a hold of nothing on a wallet in debt."""
    account, expired = _expire(account, now)
    if hold.amount > account.available:
        raise InsufficientFunds(hold.amount, account.available)
    return Change(replace(account, held=account.held + hold.amount), expired, hold)


def capture(account: Account, hold: Hold, amount: int, now: datetime) -> Change:
    """Charge `amount` for the hold and free the rest of it.

    A settlement always writes: `amount` may be over what was held, and the wallet may then be below zero. It also
    writes where the sweeper had taken the hold (its request was slower than the deadline). Raises HoldNotOpen
    where the hold was captured or released before.
    """
    if hold.state not in (OPEN, EXPIRED):
        raise HoldNotOpen(hold.id, hold.state)
    account, expired = _expire(account, now)
    freed = hold.amount if hold.state == OPEN else 0
    account = replace(account, held=account.held - freed)
    account, taken = _take(account, amount)
    return Change(account, (*expired, *taken), replace(hold, state=CAPTURED, captured=amount))


def release(account: Account, hold: Hold, *, as_state: str = RELEASED) -> Change:
    """Free what was held; no money moves. Raises HoldNotOpen where it was resolved before."""
    if hold.state != OPEN:
        raise HoldNotOpen(hold.id, hold.state)
    return Change(replace(account, held=account.held - hold.amount), (), replace(hold, state=as_state))


def credit(account: Account, lot: Lot, now: datetime) -> Change:
    """Add a new lot. Debt is paid from it first, so that only the rest can burn. Raises BalanceTooLarge."""
    account, expired = _expire(account, now)
    before = account.posted
    if before + lot.amount > MAX_BALANCE:
        raise BalanceTooLarge(f"a wallet holds at most {MAX_BALANCE // NANO} USD")
    lot = replace(lot, remaining=max(0, lot.amount - max(0, -before)))
    gained = ((lot.id, lot.remaining),) if lot.remaining else ()
    movement = Movement(lot.amount, before, account.version + 1, gained)
    lots = _in_order((*account.lots, lot)) if lot.remaining else account.lots
    account = replace(account, posted=before + lot.amount, version=movement.version, lots=lots)
    return Change(account, (*expired, movement))


def debit(account: Account, amount: int, now: datetime) -> Change:
    """Charge `amount` at once, from what no hold reserves. Raises InsufficientFunds."""
    account, expired = _expire(account, now)
    if amount > account.available:
        raise InsufficientFunds(amount, account.available)
    account, taken = _take(account, amount)
    return Change(account, (*expired, *taken))


def expire(account: Account, now: datetime) -> Change:
    """Take the expired lots, but for what open holds need of them."""
    account, movements = _expire(account, now)
    return Change(account, movements)


def _take(account: Account, amount: int) -> tuple[Account, tuple[Movement, ...]]:
    """Burn `amount` from the lots in order; what they don't cover becomes debt."""
    if amount == 0:
        return account, ()
    left, burned, rest = amount, [], []
    for lot in account.lots:
        part = min(left, lot.remaining)
        left -= part
        if part:
            burned.append((lot.id, -part))
        if part < lot.remaining:
            rest.append(replace(lot, remaining=lot.remaining - part) if part else lot)
    movement = Movement(-amount, account.posted, account.version + 1, tuple(burned))
    account = replace(account, posted=movement.balance_after, version=movement.version, lots=tuple(rest))
    return account, (movement,)


def _expire(account: Account, now: datetime) -> tuple[Account, tuple[Movement, ...]]:
    """Expiry takes min(lot.remaining, posted - held) of each expired lot."""
    movements: list[Movement] = []
    for lot in account.lots:
        if lot.expires_at is None or lot.expires_at > now:
            break  # burn order is expiry order
        part = min(lot.remaining, account.available)
        if part <= 0:
            break
        movement = Movement(-part, account.posted, account.version + 1, ((lot.id, -part),), expired=lot.id)
        rest = replace(lot, remaining=lot.remaining - part)
        lots = tuple(rest if other.id == lot.id else other for other in account.lots)
        account = Account(
            movement.balance_after, account.held, movement.version, tuple(x for x in lots if x.remaining)
        )
        movements.append(movement)
    return account, tuple(movements)


def _in_order(lots: Iterable[Lot]) -> tuple[Lot, ...]:
    return tuple(sorted(lots, key=lambda lot: lot.burn_key))
