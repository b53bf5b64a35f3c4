"""Why the paywall answers instead of the model."""

from dataclasses import dataclass
from typing import Any

from config import money
from ledger import topups

INSUFFICIENT_FUNDS = "insufficient_funds"


@dataclass(frozen=True, slots=True)
class Decision:
    """A reason, and what to tell the end user. Amounts are nano-dollars."""

    code: str
    text: str
    url: str
    required: int
    available: int

    def extension(self) -> dict[str, Any]:
        """The member `paywall` of an answer, by which programs tell it from a model's."""
        return {
            "decision": self.code,
            "url": self.url,
            "required": money.plain(self.required),
            "available": money.plain(self.available),
        }


def insufficient_funds(paywall_name: str, url: str, required: int, available: int) -> Decision:
    """The balance does not cover the request; the link tops it up."""
    return Decision(INSUFFICIENT_FUNDS, topups.invitation(paywall_name, url), url, required, available)
