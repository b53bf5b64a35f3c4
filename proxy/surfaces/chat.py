"""OpenAI's chat completions."""

import re
import time
from typing import Any
from urllib.parse import urlsplit

from paywalls import usage
from paywalls.usage import Usage
from proxy import estimate, marker, sse, tokens
from proxy.decisions import Decision
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import base
from proxy.surfaces.base import ModelRequest, StreamReader, Surface

# OpenAI's own limit on the choices of one request.
MAX_CHOICES = 128

NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

DONE = b"[DONE]"
DONE_EVENT = b"data: [DONE]\n\n"

_LIMITS = ("max_completion_tokens", "max_tokens")

# Where none of these is, an event neither reports nor fails nor ends the stream, and can't pose as the paywall's.
_NOTEWORTHY = (b'"prompt_tokens"', b'"error"', DONE, *marker.SIGNS)

# A choice that has ended, in an event's data; text that a model wrote has its quotes escaped, and can't match.
_FINISH_REASON = re.compile(rb'"finish_reason"\s*:\s*"')


class ChunkReader(StreamReader):
    """Reads OpenAI's chunks, of chats and of the older completions."""

    def __init__(self, request: ModelRequest, generated: estimate.Generated) -> None:
        super().__init__()
        self._shows_usage = request.wants_usage
        self._generated = generated

    def skim(self, text: bytes) -> tuple[int, bytes, bytes]:
        plain, end = sse.plain_data(text, _NOTEWORTHY)
        shown: bytes | None = text[:end]
        if not self._shows_usage:
            shown = sse.with_usage_hidden(text[:end])
        if not shown:
            return 0, b"", text
        self.finished = self.finished or _FINISH_REASON.search(text, 0, end) is not None
        self._generated.add_all(plain)
        return len(plain), shown, text[end:]

    def see(self, event: bytes) -> bytes:
        if (data := sse.data_of(event)) is not None:
            # Some providers report in every chunk, cumulative: the last report counts.
            self.usage = usage.of_event(data) or self.usage
            self.finished = self.finished or _FINISH_REASON.search(data) is not None
            self.failed = self.failed or base.is_error(data)
            self._generated.add(data)
        return event if self._shows_usage else sse.hide_usage(event) or b""

    def is_last(self, event: bytes) -> bool:
        return sse.data_of(event) == DONE

    def output_tokens(self) -> int:
        return self._generated.tokens()


class Chat(Surface):
    name = "chat"
    path = "/chat/completions"

    def parse(self, raw: bytes) -> ModelRequest:
        body = base.parsed_object(raw)
        model = base.model_of(body)
        base.check_messages(body)
        # OpenAI's own field and its older name mean the same.
        limits = [limit for field in _LIMITS if (limit := base.whole(body, field)) is not None]
        return ModelRequest(
            surface=self,
            body=body,
            model=model,
            stream=base.flag(body, "stream"),
            wants_usage=base.stream_options(body).get("include_usage") is True,
            choices=base.whole(body, "n", MAX_CHOICES) or 1,
            limit=min(limits, default=None),
        )

    def changed(self, request: ModelRequest, model: ModelSnapshot) -> dict[str, Any]:
        given = [field for field in _LIMITS if request.body.get(field) is not None]
        changes: dict[str, Any] = dict.fromkeys(
            given or [_limit_field(model.provider.base_url)], request.output_bound(model)
        )
        return changes | with_usage(request)

    def upper_bound(self, body: dict[str, Any]) -> int:
        return tokens.upper_bound(body)

    def count_prompt(self, body: dict[str, Any]) -> int:
        return tokens.count_prompt(body)

    def usage(self, answer: dict[str, Any]) -> Usage | None:
        return usage.parse(answer.get("usage"))

    def output_tokens(self, answer: dict[str, Any]) -> int:
        return estimate.from_completion(answer)

    def reader(self, request: ModelRequest) -> StreamReader:
        return ChunkReader(request, estimate.Generated())

    def message(self, key: str, request: ModelRequest, decision: Decision) -> dict[str, Any]:
        message = {"role": "assistant", "content": decision.text, "refusal": _refusal(request, decision)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        head = _head(key, request, "chat.completion")
        return {**head, "choices": [choice], "usage": NO_USAGE, "paywall": decision.extension()}

    def message_stream(self, key: str, request: ModelRequest, decision: Decision) -> bytes:
        head = _head(key, request, "chat.completion.chunk")
        delta = {"role": "assistant", "content": decision.text}
        if refusal := _refusal(request, decision):
            delta["refusal"] = refusal
        said = {"index": 0, "delta": delta, "finish_reason": None}
        chunks = [
            {**head, "choices": [said], "paywall": decision.extension()},
            {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
        if request.wants_usage:
            chunks.append({**head, "choices": [], "usage": NO_USAGE})
        return b"".join([*map(base.event, chunks), DONE_EVENT])


def _refusal(request: ModelRequest, decision: Decision) -> str | None:
    """Where JSON was asked for, clients parse the content unless the model refused; so this is a refusal, too."""
    asked = request.body.get("response_format")
    return decision.text if isinstance(asked, dict) and asked.get("type", "text") != "text" else None


def with_usage(request: ModelRequest) -> dict[str, Any]:
    """The usage is always asked for in streams, and hidden from a client that did not ask."""
    if not request.stream:
        return {}
    return {"stream_options": {**base.stream_options(request.body), "include_usage": True}}


def _head(key: str, request: ModelRequest, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{key}", "object": kind, "created": int(time.time()), "model": request.model}


def _limit_field(base_url: str) -> str:
    """OpenAI's reasoning models refuse `max_tokens`; most other providers know nothing else."""
    host = urlsplit(base_url).hostname or ""
    return "max_completion_tokens" if host.endswith(("openai.com", "openai.azure.com")) else "max_tokens"
