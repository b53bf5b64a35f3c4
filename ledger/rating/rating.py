"""The price of an event: by the tenant's burn table, else by what the provider charges. Pure."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from config.money import NANO
from ledger.rating.rules import SCALE, Measure, Table, rule_for
from paywalls.pricing import Price, charge


@dataclass(frozen=True, slots=True)
class CostCard:
    """What a provider charges for a model: a price, and nano-dollars for each unit of an event's quantity."""

    price: Price
    unit: int = 0

    def cost(self, used: Measure) -> int:
        """Nano-dollars, rounded up."""
        cost = charge(self.price, used)
        return cost - (-self.unit * used.quantity // SCALE) if self.unit else cost


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a burn table, in force from `valid_from` until before `valid_until` (None: unbounded)."""

    id: uuid.UUID
    rules: Table
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        """Whether it is in force at this moment."""
        return (self.valid_from is None or self.valid_from <= moment) and (
            self.valid_until is None or moment < self.valid_until
        )


class Rated(NamedTuple):
    """Nano-dollars: what the wallet is charged, and what the provider charges; None where nobody knows."""

    amount: int | None
    cost: int | None
    burn_table: uuid.UUID | None = None


def rate(
    used: Measure,
    model: str,
    at: datetime,
    versions: Sequence[Version],
    card: CostCard | None,
    credits_per_usd: int,
) -> Rated:
    """The price of what an event used.

    The first of the versions that is in force at that time and has a rule for the model says how many credits; they
    are exact. Else it is the provider's cost in credits, rounded up to a whole one. What has counts and neither
    rule nor cost has no price; what has no counts is free then.
    """
    cost = None if card is None else card.cost(used)
    for version in versions:
        if version.covers(at):
            rule = rule_for(version.rules, model)
            if rule is not None:
                return Rated(rule.burn(used, credits_per_usd), cost, version.id)
            break
    if used.is_empty:
        return Rated(0, cost)
    return Rated(None if cost is None else whole_credits(cost, credits_per_usd), cost)


def whole_credits(cost: int, credits_per_usd: int) -> int:
    """The price of a cost in whole credits, rounded up; in nano-dollars (also up)."""
    number = -(-cost * credits_per_usd // NANO)
    return -(-number * NANO // credits_per_usd)
