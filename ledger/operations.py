"""What `posting` can be asked to do, and what it answers. Amounts are nano-dollars.

What each request makes is a named tuple, as in `book.py`.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ledger import book
from ledger.errors import Refusal
from ledger.lots import DEFAULT_PRIORITY
from ledger.requests import RequestFacts
from ledger.windows import NO_LIMITS, Limits
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
class Claim:
    """An Idempotency-Key of an end user's request, as digests of the key and of what is asked.

    The hold claims it: refused with KeyTaken where an earlier request with the key holds or has charged.
    """

    paywall_id: uuid.UUID
    external_id: str
    digest: str
    fingerprint: str

    @property
    def key(self) -> tuple[uuid.UUID, str, str]:
        return (self.paywall_id, self.external_id, self.digest)


@dataclass(frozen=True, slots=True)
class OnModel:
    """The model (its row's key) that a hold is for, and what one end user may spend on it."""

    model_id: uuid.UUID
    limits: Limits


class PlaceHold(NamedTuple):
    """Reserve `amount` for `seconds`. `hold_id` is the request's own key: the same request holds once.

    `wallet` is an account's key, or an end user, whose wallet is made (with the trial credit) where there is none.
    `limits` are the spend limits for a wallet that has none of its own. A hold of kind "app" is an app's own: nobody
    asks what became of it where it expires. `about` (JSON) says what it is for, to those who find it later.
    `connection` is through which the wallet of a wallet user pays; an end user's own is found with their wallet.
    `on_model` is set where the model limits what is spent on it, beside `limits`.
    """

    wallet: uuid.UUID | UserRef
    hold_id: uuid.UUID
    amount: int
    seconds: float
    guard: Guard | None = None
    events: tuple[RequestEvent, ...] = ()
    limits: Limits = NO_LIMITS
    kind: str = "request"
    about: str = "{}"
    connection: uuid.UUID | None = None
    claim: Claim | None = None
    on_model: OnModel | None = None


@dataclass(frozen=True, slots=True)
class OpenWallet:
    """Make an end user's wallet, with the trial credit, where there is none."""

    wallet: UserRef


class Capture(NamedTuple):
    """Settle a hold: charge `amount`, free the rest. Zero is a settlement without a transfer.

    `watched` is False where it is known that nobody wants an event of the charge. `kind` is the transfer's. `request`
    is the row that remembers the request, `answer` (encrypted) what a retry with its Idempotency-Key gets.
    `connection` and `model_spend` are the hold's: whoever knows them spares posting a look-up.
    """

    wallet: uuid.UUID | UserRef
    hold_id: uuid.UUID
    amount: int
    source: str
    metadata: Mapping[str, Any] = {}
    events: tuple[RequestEvent, ...] = ()
    watched: bool = True
    kind: str = "usage"
    connection: uuid.UUID | None = None
    request: RequestFacts | None = None
    answer: str = ""
    model_spend: uuid.UUID | None = None


class Release(NamedTuple):
    """Free a hold; no money moves. `connection`, `model_spend` and `request` are as in Capture."""

    wallet: uuid.UUID | UserRef
    hold_id: uuid.UUID
    events: tuple[RequestEvent, ...] = ()
    connection: uuid.UUID | None = None
    request: RequestFacts | None = None
    model_spend: uuid.UUID | None = None


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
    priority: int = DEFAULT_PRIORITY
    request_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Debit:
    """Money out of a wallet at once, into a house account; refused where the wallet can't pay it.

    A debit of kind "charge" counts in the spend windows; `limits` are those for a wallet without its own. One that may
    `overdraw` is never refused for want of money: what isn't covered becomes debt.
    """

    wallet: uuid.UUID | UserRef
    amount: int
    source: str
    kind: str
    counter: str
    metadata: dict[str, Any] = field(default_factory=dict)
    request_id: uuid.UUID | None = None
    limits: Limits = NO_LIMITS
    overdraw: bool = False


@dataclass(frozen=True, slots=True)
class Earn:
    """Money into a tenant's account of earnings, from a house account; in no lot."""

    wallet: uuid.UUID
    amount: int
    source: str
    kind: str
    counter: str
    request_id: uuid.UUID | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refund:
    """Give back a charge or usage (`of`, a transfer), or a part of it; None is all that is left of it."""

    wallet: uuid.UUID
    of: uuid.UUID
    amount: int | None
    source: str
    kind: str = "refund"
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reverse:
    """Take back a credit (`of`, a transfer), or a part of it; None is all that is left of it. May make debt."""

    wallet: uuid.UUID
    of: uuid.UUID
    amount: int | None
    source: str
    kind: str = "reversal"
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """Credit from one wallet to another of the same tenant: two transfers through its transit account, or none."""

    wallet: uuid.UUID | UserRef
    to: uuid.UUID | UserRef
    amount: int
    source: str
    kind: str = "transfer"
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expire:
    """Take a wallet's expired credits."""

    wallet: uuid.UUID


@dataclass(frozen=True, slots=True)
class Configure:
    """Set a wallet's own limits, and the balance below which it counts as low; None is none."""

    wallet: uuid.UUID | UserRef
    limits: Limits
    low_balance: int | None


class Burn(NamedTuple):
    """Usage that costs `amount` nano-dollars.

    `row` is the hex of its event's key, of which its source is made, `transfer` that of the key of its debit.
    """

    row: str
    transfer: str
    amount: int
    model: str
    prompt_tokens: int
    completion_tokens: int

    @property
    def metadata(self) -> dict[str, Any]:
        """What the transfer keeps of it."""
        return {
            "event": self.row,
            "model": self.model,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


@dataclass(frozen=True, slots=True)
class Burns:
    """Usage of one wallet, burned in order: each a debit of kind "burn" by itself, which stands or is refused.

    For events that are new in this very transaction, so that their sources can't be known. `overdraw` is as in Debit,
    `watched` as in Capture. It is about any number of events, also none.
    """

    wallet: uuid.UUID | UserRef
    burns: Sequence[Burn]
    overdraw: bool = False
    watched: bool = True


# Each of these is one transfer by `source` (a move is two), and is answered by a receipt.
Sourced = Credit | Debit | Earn | Refund | Reverse | Move
Operation = OpenWallet | PlaceHold | Capture | Release | Sweep | Expire | Configure | Burns | Sourced


@dataclass(frozen=True, slots=True)
class LowBalance:
    """A wallet's balance fell below its threshold (nano-dollars). Happens once; again after it was above it."""

    account_id: uuid.UUID
    balance: int
    threshold: int


class Held(NamedTuple):
    """The reservation stands. `account_id` may be kept: a wallet's key never changes.

    So may `connection`, through which it pays in shared mode: each hold looks whether it stands. `model_spend` names
    the windows of the model that the hold counts in, where there are any.
    """

    account_id: uuid.UUID
    replayed: bool = False
    connection: uuid.UUID | None = None
    model_spend: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The wallet is there, as it was asked for."""

    account_id: uuid.UUID


class Resolved(NamedTuple):
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
    metadata: Mapping[str, Any]
    replayed: bool = False


class Burned(NamedTuple):
    """A debit of `Burns` that stands."""

    balance_before: int


@dataclass(frozen=True, slots=True)
class BurnedAll:
    """What became of each of the `Burns`, in order."""

    each: Sequence[Burned | Refusal]


Outcome = Opened | Held | Resolved | Receipt | BurnedAll | Refusal
