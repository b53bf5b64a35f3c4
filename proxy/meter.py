"""What one request used: from the provider's usage, or counted by us where there is none."""

import asyncio
import enum
from dataclasses import dataclass
from typing import Any

from paywalls import pricing
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import ModelRequest, StreamReader
from proxy.usage import Usage


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
    """Watches one request go by. `billable` from the moment that the provider may have read the prompt."""

    def __init__(self, asked: ModelRequest, model: ModelSnapshot) -> None:
        self._asked = asked
        self._surface = asked.surface
        self._model = model
        self._reader: StreamReader | None = None
        self._answer: dict[str, Any] = {}
        self.billable = False
        self.ending = Ending.COMPLETED
        # Why the provider failed, where it did.
        self.error_code = ""

    def read_stream(self) -> StreamReader:
        """The reader that the stream's events go through."""
        self._reader = self._surface.reader(self._asked)
        return self._reader

    def see_answer(self, body: dict[str, Any]) -> None:
        """A plain answer."""
        self._answer = body

    def _reported(self) -> Usage | None:
        return self._reader.usage if self._reader else self._surface.usage(self._answer)

    async def charge(self) -> Charge:
        """The charge at the price that the request was admitted with."""
        reported = self._reported()
        # Counting is slow, and others are streaming.
        used = await asyncio.to_thread(self._counted) if reported is None else reported
        units = pricing.Units(
            input=used.input,
            cache_read=used.cache_read,
            cache_write=used.cache_write,
            output=used.output,
            images=self._asked.images(self._model),
        )
        price = self._model.price
        metadata = {
            "model": self._model.model_id,
            "provider": self._model.provider.name,
            "ending": self.ending.value,
            "estimated": reported is None,
            "price": pricing.breakdown(price, units),
            # Nano-dollars that the operator owes the provider; None where its prices aren't known.
            "provider_cost": pricing.cost(self._model.cost, units),
        }
        return Charge(pricing.charge(price, units), metadata)

    def _counted(self) -> Usage:
        generated = (
            self._reader.output_tokens() if self._reader else self._surface.output_tokens(self._answer)
        )
        return Usage(input=self._surface.count_prompt(self._asked.body), output=generated)
