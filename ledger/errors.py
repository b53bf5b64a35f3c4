"""Why the ledger refuses. A refusal changes nothing, and never refuses a neighbour in the same batch."""

import uuid

from config import money


class Refusal(Exception):
    """An operation that was not carried out; the books are as before."""


class InsufficientFunds(Refusal):
    """The wallet has `available` nano-dollars, the operation needs `required`."""

    def __init__(self, required: int, available: int) -> None:
        super().__init__(f"{money.formatted(required)} needed, {money.formatted(available)} available")
        self.required = required
        self.available = available


class BalanceTooLarge(Refusal):
    """The credit would bring the wallet over `MAX_BALANCE`."""


class HoldNotOpen(Refusal):
    """The hold was resolved before, or never placed; `state` is None where there is none."""

    def __init__(self, hold_id: uuid.UUID, state: str | None) -> None:
        super().__init__(f"hold {hold_id} is {state or 'unknown'}")
        self.state = state


class SourceReused(Refusal):
    """The source has moved money before, with another effect (other wallet, kind or amount)."""


class ConfigChanged(Refusal):
    """The paywall's configuration is newer than what the operation was decided on."""


class UnknownPaywall(Refusal):
    """The paywall that an end user was named in does not exist."""


class Contention(Exception):
    """The database was busy with the same rows (or away) for too long. Nothing was done; try again."""
