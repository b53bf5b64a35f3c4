"""What one request used: from the provider's usage, or counted by us where there is none."""

import asyncio
import enum
import re
from dataclasses import dataclass
from typing import Any

from paywalls import pricing
from proxy import estimate, tokens, usage
from proxy.chat_request import ChatRequest
from proxy.snapshot import ModelSnapshot
from proxy.usage import Usage

# A choice that has ended, in an event's data; text that a model wrote has its quotes escaped, and can't match.
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"')


class Ending(enum.StrEnum):
    """How a request ended; kept on the ledger row."""

    COMPLETED = "completed"
    CLIENT_LEFT = "client_left"
    UPSTREAM_DIED = "upstream_died"


@dataclass(frozen=True, slots=True)
class Charge:
    """What to charge (nano-dollars) and the arithmetic behind it, as the ledger row keeps it."""

    amount: int
    metadata: dict[str, Any]


class Meter:
    """Watches one request go by.

    `billable` from the moment that the provider may have read the prompt; `finished` once a choice has ended.
    """

    def __init__(self, chat: ChatRequest, model: ModelSnapshot) -> None:
        self._chat = chat
        self._model = model
        self._usage: Usage | None = None
        self._generated = estimate.Generated()
        self._plain: dict[str, Any] | None = None
        self.billable = False
        self.finished = False
        self.ending = Ending.COMPLETED
        # Why the provider failed, where it did.
        self.error_code = ""

    def see_event(self, data: bytes) -> None:
        """The data of one event of a stream."""
        # Some providers report in every chunk, cumulative: the last report counts.
        if (seen := usage.of_event(data)) is not None:
            self._usage = seen
        self.finished = self.finished or _FINISH_REASON.search(data) is not None
        self._generated.add(data)

    def see_completion(self, body: dict[str, Any]) -> None:
        """A plain answer."""
        self._usage = usage.parse(body.get("usage"))
        self._plain = body

    async def charge(self) -> Charge:
        """The charge at the price that the request was admitted with."""
        estimated = self._usage is None
        if self._usage is not None:
            used = self._usage
            units = pricing.Units(used.input, used.cache_read, used.cache_write, used.output)
        else:
            # Counting is slow, and others are streaming.
            units = await asyncio.to_thread(self._counted)
        price = self._model.price
        amount = pricing.charge(price, units)
        metadata = {
            "model": self._model.model_id,
            "provider": self._model.provider.name,
            "ending": self.ending.value,
            "estimated": estimated,
            "price": pricing.breakdown(price, units),
        }
        return Charge(amount, metadata)

    def _counted(self) -> pricing.Units:
        generated = self._generated.tokens() if self._plain is None else estimate.from_completion(self._plain)
        return pricing.Units(input=tokens.count_prompt(self._chat.body), output=generated)
