"""OpenAI's embeddings: a prompt and nothing generated."""

from typing import Any

from paywalls import usage
from paywalls.usage import Usage
from proxy import tokens
from proxy.surfaces import base
from proxy.surfaces.base import ModelRequest, StreamReader, Surface


class Embeddings(Surface):
    """An answer is numbers, so the paywall has no message here: who can't pay gets HTTP 402."""

    name = "embeddings"
    path = "/embeddings"

    def parse(self, raw: bytes) -> ModelRequest:
        body = base.parsed_object(raw)
        model = base.model_of(body)
        base.checked_input(body, "input")
        return ModelRequest(surface=self, body=body, model=model, choices=0)

    def upper_bound(self, body: dict[str, Any]) -> int:
        return tokens.input_bound(body["input"])

    def count_prompt(self, body: dict[str, Any]) -> int:
        return tokens.count_input(body["input"])

    def usage(self, answer: dict[str, Any]) -> Usage | None:
        reported = answer.get("usage")
        return usage.parse({"completion_tokens": 0, **reported} if isinstance(reported, dict) else None)

    def output_tokens(self, answer: dict[str, Any]) -> int:
        return 0

    def reader(self, request: ModelRequest) -> StreamReader:
        raise NotImplementedError("embeddings are not streamed")
