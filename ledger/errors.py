"""Why the ledger refuses. A refusal changes nothing, and never refuses a neighbour in the same batch."""

import uuid
from datetime import datetime

from config import money


class Refusal(Exception):
    """An operation that was not carried out; the books are as before."""


class InsufficientFunds(Refusal):
    """The wallet has `available` nano-dollars, the operation needs `required`."""

    def __init__(self, required: int, available: int) -> None:
        super().__init__(f"{money.formatted(required)} needed, {money.formatted(available)} available")
        self.required = required
        self.available = available

    @property
    def room(self) -> int:
        """What would still fit (nano-dollars)."""
        return self.available


class SpendLimitReached(Refusal):
    """The wallet's limit for a "day" or "month" is `limit` nano-dollars, of which `used` are held or spent.

    The window ends at `resets_at`.
    """

    def __init__(self, period: str, limit: int, used: int, resets_at: datetime) -> None:
        super().__init__(
            f"the limit of {money.formatted(limit)} a {period} is reached ({money.formatted(used)} used); "
            f"it resets at {resets_at:%Y-%m-%d %H:%M} UTC"
        )
        self.period = period
        self.limit = limit
        self.used = used
        self.resets_at = resets_at

    @property
    def room(self) -> int:
        """What would still fit (nano-dollars)."""
        return self.limit - self.used


class ModelLimitReached(SpendLimitReached):
    """The same of what one end user may spend on the model."""

    @classmethod
    def of(cls, reached: SpendLimitReached) -> "ModelLimitReached":
        """What the model's windows refused."""
        return cls(reached.period, reached.limit, reached.used, reached.resets_at)


class Blocked(Refusal):
    """The wallet's owner is blocked: nothing new may be held or charged."""

    def __init__(self) -> None:
        super().__init__("the user is blocked")


class BalanceTooLarge(Refusal):
    """The credit would bring the wallet over `MAX_BALANCE`, or a debt over as much below zero."""


class HoldNotOpen(Refusal):
    """The hold was resolved before, or never placed; `state` is None where there is none."""

    def __init__(self, hold_id: uuid.UUID, state: str | None) -> None:
        super().__init__(f"hold {hold_id} is {state or 'unknown'}")
        self.state = state


class SourceReused(Refusal):
    """The source has moved money before, with another effect (other wallet, kind or amount)."""


class NotCorrectable(Refusal):
    """The transfer can't be refunded or reversed: there is none, or it is of another wallet or kind."""


class RefundTooLarge(Refusal):
    """Together with earlier ones it would be more than the original; `left` nano-dollars can go back."""

    def __init__(self, amount: int, left: int) -> None:
        super().__init__(f"{money.formatted(amount)} is more than the {money.formatted(left)} that is left")
        self.left = left


class AnotherTenant(Refusal):
    """The two wallets belong to different tenants."""


class NotConnected(Refusal):
    """In shared mode: the end user is connected to no wallet, or not to this one any more."""


class ConfigChanged(Refusal):
    """The paywall's configuration is newer than what the operation was decided on."""


class KeyTaken(Refusal):
    """An earlier request has used the Idempotency-Key: `state` is its hold's, open, captured or expired.

    `same` says whether it asked for the same.
    """

    def __init__(self, request_id: uuid.UUID, state: str, *, same: bool) -> None:
        super().__init__(f"the key is that of request {request_id}, which is {state}")
        self.request_id = request_id
        self.state = state
        self.same = same


class UnknownPaywall(Refusal):
    """The paywall that an end user was named in does not exist."""


class Contention(Exception):
    """The database was busy with the same rows (or away) for too long. Nothing was done; try again."""
