"""What `posting` can be asked to do, and what it answers. Amounts are nano-dollars."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger import book
from ledger.errors import Refusal
from paywalls.users import UserRef


@dataclass(frozen=True, slots=True)
class Guard:
    """The configuration an operation was decided on; refused with ConfigChanged where it has moved since."""

    paywall_id: uuid.UUID
    config_version: int


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """What the paywall's owner is told where the operation stands: an event of the catalogue about one request.

    `data` is whole but for `walletUserId`, which the wallet knows.
    """

    type: str
    request_id: uuid.UUID
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Reserve `amount` for `seconds`. `hold_id` is the request's own key: the same request holds once.

    `wallet` is an account's key, or an end user, whose wallet is made (with the trial credit) where there is none.
    """

    wallet: uuid.UUID | UserRef
    hold_id: uuid.UUID
    amount: int
    seconds: float
    guard: Guard | None = None
    events: tuple[RequestEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenWallet:
    """Make an end user's wallet, with the trial credit, where there is none."""

    wallet: UserRef


@dataclass(frozen=True, slots=True)
class Capture:
    """Settle a hold: charge `amount`, free the rest. Zero is a settlement without a transfer.

    `watched` is False where it is known that nobody wants an event of the charge.
    """

    wallet: uuid.UUID | UserRef
    hold_id: uuid.UUID
    amount: int
    source: str
    metadata: dict[str, Any] = field(default_factory=dict)
    events: tuple[RequestEvent, ...] = ()
    watched: bool = True


@dataclass(frozen=True, slots=True)
class Release:
    """Free a hold; no money moves."""

    wallet: uuid.UUID | UserRef
    hold_id: uuid.UUID
    events: tuple[RequestEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Expire a hold whose deadline has passed; refused with HoldNotOpen where somebody resolved it first."""

    wallet: uuid.UUID | UserRef
    hold_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Credit:
    """Money into a wallet, as a new lot, from a house account (`counter`, a kind of Account)."""

    wallet: uuid.UUID | UserRef
    amount: int
    source: str
    kind: str
    counter: str
    lot_kind: str = book.PAID
    expires_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Debit:
    """Money out of a wallet at once, into a house account; refused where the wallet can't pay it."""

    wallet: uuid.UUID | UserRef
    amount: int
    source: str
    kind: str
    counter: str
    metadata: dict[str, Any] = field(default_factory=dict)


Operation = OpenWallet | PlaceHold | Capture | Release | Sweep | Credit | Debit


@dataclass(frozen=True, slots=True)
class Held:
    """The reservation stands. `account_id` may be kept: a wallet's key never changes."""

    account_id: uuid.UUID
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """The wallet is there."""

    account_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Resolved:
    """The hold was resolved; `captured` is what was charged, `balance_after` what the wallet has now."""

    captured: int
    balance_after: int
    transfer_id: uuid.UUID | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transfer that stands: of this operation, or (`replayed`) of an earlier one with the same source."""

    transfer_id: uuid.UUID
    account_id: uuid.UUID
    amount: int
    balance_before: int
    balance_after: int
    metadata: dict[str, Any]
    replayed: bool = False


Outcome = Opened | Held | Resolved | Receipt | Refusal
