"""OpenAI's older text completions."""

import time
from collections.abc import Iterator
from typing import Any

from paywalls import usage
from paywalls.usage import Usage
from proxy import estimate, tokens
from proxy.decisions import Decision
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import base
from proxy.surfaces.base import ModelRequest, StreamReader, Surface
from proxy.surfaces.chat import DONE_EVENT, MAX_CHOICES, NO_USAGE, ChunkReader, with_usage

# What OpenAI generates where the client gives no limit; it is forwarded, so that the hold covers it anywhere.
DEFAULT_LIMIT = 16


class Completions(Surface):
    name = "completions"
    path = "/completions"

    def parse(self, raw: bytes) -> ModelRequest:
        body = base.parsed_object(raw)
        model = base.model_of(body)
        prompt = base.checked_input(body, "prompt")
        # A list of texts, or of lists of tokens, is as many prompts; a list of tokens is one.
        prompts = len(prompt) if isinstance(prompt, list) and not isinstance(prompt[0], int) else 1
        each = max(base.whole(body, field, MAX_CHOICES) or 1 for field in ("n", "best_of"))
        return ModelRequest(
            surface=self,
            body=body,
            model=model,
            stream=base.flag(body, "stream"),
            wants_usage=base.stream_options(body).get("include_usage") is True,
            choices=each * prompts,
            limit=base.whole(body, "max_tokens") or DEFAULT_LIMIT,
        )

    def changed(self, request: ModelRequest, model: ModelSnapshot) -> dict[str, Any]:
        return {"max_tokens": request.output_bound(model), **with_usage(request)}

    def upper_bound(self, body: dict[str, Any]) -> int:
        return tokens.input_bound(body["prompt"], body.get("suffix"))

    def count_prompt(self, body: dict[str, Any]) -> int:
        return tokens.count_input(body["prompt"], body.get("suffix"))

    def usage(self, answer: dict[str, Any]) -> Usage | None:
        return usage.parse(answer.get("usage"))

    def output_tokens(self, answer: dict[str, Any]) -> int:
        return sum(tokens.count_text(text) for _, text in _said(answer))

    def reader(self, request: ModelRequest) -> StreamReader:
        return ChunkReader(request, estimate.Generated(_said))

    def message(self, key: str, request: ModelRequest, decision: Decision) -> dict[str, Any]:
        return {
            **_answer(key, request, decision.text, "stop"),
            "usage": NO_USAGE,
            "paywall": decision.extension(),
        }

    def message_stream(self, key: str, request: ModelRequest, decision: Decision) -> bytes:
        chunks = [
            {**_answer(key, request, decision.text, None), "paywall": decision.extension()},
            _answer(key, request, "", "stop"),
        ]
        if request.wants_usage:
            chunks.append({**_answer(key, request, "", None), "choices": [], "usage": NO_USAGE})
        return b"".join([*map(base.event, chunks), DONE_EVENT])


def _answer(key: str, request: ModelRequest, text: str, finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
    head = {
        "id": f"cmpl-{key}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": request.model,
    }
    return {**head, "choices": [choice]}


def _said(body: object) -> Iterator[tuple[estimate.Place, str]]:
    """What the choices of a chunk or an answer say."""
    if isinstance(body, dict) and not body.get("error") and isinstance(body.get("choices"), list):
        for choice in body["choices"]:
            if isinstance(choice, dict) and isinstance(choice.get("text"), str):
                yield (str(choice.get("index")),), choice["text"]
