"""What one request used: from the provider's usage, or counted by us where there is none."""

import asyncio
import enum
from dataclasses import dataclass
from typing import Any

import orjson

from paywalls import pricing
from proxy import estimate, tokens, usage
from proxy.chat_request import ChatRequest
from proxy.snapshot import ModelSnapshot
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
    """Watches one request go by. Billable from the moment that the provider may have read the prompt."""

    def __init__(self, chat: ChatRequest, model: ModelSnapshot) -> None:
        self._chat = chat
        self._model = model
        self._usage: Usage | None = None
        self._generated = estimate.Generated()
        self._plain_tokens: int | None = None
        self.billable = False
        self.ending = Ending.COMPLETED

    def see_event(self, data: bytes) -> None:
        """One event of a stream."""
        if b'"usage"' in data:
            self._see_usage(_loaded(data))
        self._generated.add(data)

    def see_completion(self, body: dict[str, Any]) -> None:
        """A plain answer."""
        self._see_usage(body)
        if self._usage is None:
            self._plain_tokens = estimate.from_completion(body)

    def _see_usage(self, body: Any) -> None:
        # Some providers send it in every chunk, cumulative: the last one counts.
        if isinstance(body, dict) and (seen := usage.parse(body.get("usage"))) is not None:
            self._usage = seen

    async def charge(self) -> Charge:
        """The charge at the price that the request was admitted with."""
        estimated = self._usage is None
        if self._usage is not None:
            prompt, completion = self._usage.prompt_tokens, self._usage.completion_tokens
        else:
            # Counting is slow, and others are streaming.
            prompt, completion = await asyncio.to_thread(self._counted)
        price = self._model.price
        amount = pricing.charge(price, prompt_tokens=prompt, completion_tokens=completion)
        metadata = {
            "model": self._model.model_id,
            "provider": self._model.provider.name,
            "ending": self.ending.value,
            "estimated": estimated,
            "price": pricing.breakdown(price, prompt_tokens=prompt, completion_tokens=completion),
        }
        return Charge(amount, metadata)

    def _counted(self) -> tuple[int, int]:
        completion = self._generated.tokens() if self._plain_tokens is None else self._plain_tokens
        return tokens.count_prompt(self._chat.body), completion


def _loaded(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
