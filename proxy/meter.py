"""What one request used: from the provider's usage, or counted by us where there is none."""

import asyncio
import enum
import logging
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ledger.splits import COST
from paywalls import pricing
from paywalls.usage import Usage
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import ModelRequest, StreamReader

log = logging.getLogger("tollgate.gateway")

# Where a text can't be counted, it is taken for one token in so many bytes.
ROUGH_BYTES_A_TOKEN = 4


class Ending(enum.StrEnum):
    """How a request ended; kept on the ledger row."""

    COMPLETED = "completed"
    CLIENT_LEFT = "client_left"
    UPSTREAM_DIED = "upstream_died"


@dataclass(frozen=True, slots=True)
class Charge:
    """What to charge (nano-dollars) and the arithmetic behind it, as the ledger row keeps it.

    `cost` is what the operator owes the provider, None where its prices aren't known; `estimated` where we counted.
    """

    amount: int
    metadata: dict[str, Any]
    used: Usage
    images: int
    cost: int | None
    estimated: bool


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
        # What was used, prompt and answer, once the charge is known.
        self.tokens: int | None = None
        # The events of a stream that have come, keep-alives included.
        self.events = 0

    @property
    def told_failure(self) -> bool:
        """Whether the provider has said in its stream that it failed."""
        return self._reader is not None and self._reader.failed

    def read_stream(self) -> StreamReader:
        """The reader that the stream's events go through."""
        self._reader = self._surface.reader(self._asked)
        return self._reader

    def see_answer(self, body: dict[str, Any]) -> None:
        """A plain answer."""
        self._answer = body

    def _reported(self) -> Usage | None:
        return self._reader.usage if self._reader else self._surface.usage(self._answer)

    async def charge(self, held: int) -> Charge:
        """The charge at the serving route's price, as it was when the request was admitted.

        Where our own counting breaks, a rough count takes its place, and never charges more than `held` nano-dollars.
        """
        try:
            reported = self._reported()
            if reported is not None:
                return self._priced(reported, estimated=False)
            # Counting is slow, and others are streaming.
            return self._priced(await asyncio.to_thread(self._counted), estimated=True)
        except asyncio.CancelledError:
            raise
        except BaseException:  # the tokenizer's panics are no Exceptions
            log.exception("tokens of %s could not be counted: charged by size", self._model.model_id)
        rough = self._priced(self._roughly_counted(), estimated=True)
        return replace(rough, amount=min(rough.amount, held))

    def _priced(self, used: Usage, *, estimated: bool) -> Charge:
        self.tokens = used.input + used.cache_read + used.cache_write + used.output
        units = pricing.Units(
            input=used.input,
            cache_read=used.cache_read,
            cache_write=used.cache_write,
            output=used.output,
            images=self._asked.images(self._model),
        )
        price, cost = self._model.price, pricing.cost(self._model.cost, units)
        metadata = {
            "model": self._model.model_id,
            "provider": self._model.provider.name,
            "ending": self.ending.value,
            "estimated": estimated,
            "price": pricing.breakdown(price, units),
            "provider_cost": cost,
        }
        if self._model.provider.installation_pays:
            metadata[COST] = cost or 0
        return Charge(pricing.charge(price, units), metadata, used, units.images, cost, estimated)

    def _counted(self) -> Usage:
        generated = (
            self._reader.output_tokens() if self._reader else self._surface.output_tokens(self._answer)
        )
        return Usage(input=self._surface.count_prompt(self._asked.body), output=generated)

    def _roughly_counted(self) -> Usage:
        """By size: the prompt's bytes, and of the answer its bytes or, in a stream, one token an event."""
        prompt = len(orjson.dumps(self._asked.body)) // ROUGH_BYTES_A_TOKEN
        said = len(orjson.dumps(self._answer)) // ROUGH_BYTES_A_TOKEN if self._answer else self.events
        return Usage(input=prompt, output=said)
