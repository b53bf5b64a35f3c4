"""May a user use a feature now? Pure: facts in, a verdict out.

The order is the contract's: no wallet, expired credits, a limit, then credits. A refusal says what to do about it.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from ledger.entitlements import windows
from ledger.entitlements.windows import UNUSED, Counter
from ledger.models import Entitlement

HARD, SOFT, NONE = Entitlement.LimitType.HARD, Entitlement.LimitType.SOFT, Entitlement.LimitType.NONE


class Remedy(StrEnum):
    """What the user, or the app, can do about a refusal."""

    CREATE_WALLET = "create_wallet"
    PURCHASE = "purchase"


class Limit(NamedTuple):
    """An entitlement's limit: a type, and for HARD and SOFT so many uses in a period."""

    type: str
    value: int | None
    period: str


# What holds where a feature has no entitlement.
UNLIMITED = Limit(NONE, None, Entitlement.Period.TOTAL)


class Wallet(NamedTuple):
    """What a wallet can spend (nano-dollars); `expired` where it is empty because its credit's time was over."""

    available: int
    expired: bool = False


class Facts(NamedTuple):
    """What a verdict depends on, read at one moment; `today` is the database's (UTC)."""

    today: date
    limit: Limit = UNLIMITED
    counter: Counter = UNUSED
    wallet: Wallet | None = None


class Verdict(NamedTuple):
    """Whether it may be used, why not (or what to know), and how far the limit is; `limit` None is none."""

    allowed: bool
    reason: str | None
    remedy: Remedy | None
    usage: int
    limit: int | None
    resets_at: datetime | None

    @property
    def remaining(self) -> int | None:
        """The uses that are left in the window; None is no limit."""
        return None if self.limit is None else max(0, self.limit - self.usage)


def decide(facts: Facts, *, cost: int, units: int = 1, team_pays: bool = False) -> Verdict:
    """The verdict on `units` uses, estimated at `cost` nano-dollars of the user's wallet, or their team's."""
    limit, payer = facts.limit, "team" if team_pays else "user"
    usage = windows.used(facts.counter, limit.period, facts.today)
    reason: str | None = None
    remedy: Remedy | None = None
    allowed = False
    reached = limit.value is not None and usage + units > limit.value
    if facts.wallet is None:
        reason, remedy = f"The {payer} has no wallet.", Remedy.CREATE_WALLET
    elif facts.wallet.expired:
        reason, remedy = f"The {payer}'s credits have expired.", Remedy.PURCHASE
    elif limit.type == HARD and reached:
        reason = reached_text(limit)
    elif cost > facts.wallet.available:
        reason, remedy = "Not enough credits.", Remedy.PURCHASE
    else:
        allowed = True
        reason = reached_text(limit) if limit.type == SOFT and reached else None
    return Verdict(
        allowed,
        reason,
        remedy,
        usage,
        None if limit.type == NONE else limit.value,
        None if limit.type == NONE else windows.resets_at(limit.period, facts.today),
    )


def reached_text(limit: Limit) -> str:
    """What is said of a limit that is reached, in the contract's words."""
    return f"Usage limit of {limit.value} reached"
