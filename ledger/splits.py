"""How a charge in shared mode is shared out. Pure; amounts are nano-dollars.

First what the provider costs the installation, where its own account served the request; then the platform's fee, a
percentage of the charge; the rest is the paywall's. The parts always sum to the charge: the fee is rounded up, and
neither part can take more than is left.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

# Where a charge's metadata say what its request cost the installation.
COST = "installation_cost"


@dataclass(frozen=True, slots=True)
class Parts:
    """Who gets what of a charge. Of a refund the parts are below zero."""

    provider_cost: int
    platform_fee: int
    earned: int

    @property
    def amount(self) -> int:
        return self.provider_cost + self.platform_fee + self.earned


def shared_out(charge: int, provider_cost: int, fee_percent: Decimal) -> Parts:
    """The parts of a charge."""
    cost = min(max(provider_cost, 0), charge)
    fee = int((charge * fee_percent / 100).to_integral_value(ROUND_CEILING))
    fee = min(fee, charge - cost)
    return Parts(cost, fee, charge - cost - fee)


def given_back(parts: Parts, before: int, amount: int) -> Parts:
    """The parts of a refund of `amount`, `before` of the charge having been refunded: each in proportion.

    Rounded down over all refunds together, so that those of a whole charge give back exactly its parts.
    """

    def share(part: int) -> int:
        return part * before // parts.amount - part * (before + amount) // parts.amount

    cost, fee = share(parts.provider_cost), share(parts.platform_fee)
    return Parts(cost, fee, -amount - cost - fee)
