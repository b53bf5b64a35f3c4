"""Anthropic's Messages."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson

from config.errors import ApiError
from paywalls import usage
from paywalls.usage import Usage
from proxy import estimate, sse, tokens
from proxy.decisions import Decision
from proxy.snapshot import ModelSnapshot, ProviderSnapshot
from proxy.surfaces import base
from proxy.surfaces.base import InvalidRequest, ModelRequest, StreamReader, Surface

# The version of the API that we know; a client's own is passed on.
VERSION = "2023-06-01"

_ERROR_TYPES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.PAYMENT_REQUIRED: "billing_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
}
_READ = ("system", "messages", "tools")
_NO_USAGE = {"input_tokens": 0, "output_tokens": 0}


class EventReader(StreamReader):
    """Reads the typed events: the prompt's usage is in the first, the output's grows in `message_delta`."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, Any] = {}
        self._generated = estimate.Generated(_said_in_event)

    def see(self, event: bytes) -> bytes:
        if (data := sse.data_of(event)) is not None:
            if b'"usage"' in data:
                self._see_usage(data)
            self.failed = self.failed or base.is_error(data)
            self._generated.add(data)
        return event

    def _see_usage(self, data: bytes) -> None:
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError:
            return
        if not isinstance(parsed, dict):
            return
        kind, message = parsed.get("type"), parsed.get("message")
        place = message if kind == "message_start" and isinstance(message, dict) else parsed
        counts = place.get("usage")
        if kind not in ("message_start", "message_delta") or not isinstance(counts, dict):
            return
        self._counts |= {name: count for name, count in counts.items() if count is not None}
        if kind == "message_delta":
            # Only now is the output's count more than a first guess.
            self.usage = usage.of_messages(self._counts)
            self.finished = True

    def is_last(self, event: bytes) -> bool:
        return b"message_stop" in event and _type_of(event) == "message_stop"

    def output_tokens(self) -> int:
        return self._generated.tokens()


class Messages(Surface):
    name = "messages"
    path = "/messages"

    def parse(self, raw: bytes) -> ModelRequest:
        body = base.parsed_object(raw)
        model = base.model_of(body)
        base.check_messages(body)
        limit = base.whole(body, "max_tokens")
        if limit is None:
            raise InvalidRequest("max_tokens: must be a whole number of at least 1.", param="max_tokens")
        return ModelRequest(
            surface=self, body=body, model=model, stream=base.flag(body, "stream"), limit=limit
        )

    def named_user(self, body: dict[str, Any]) -> object:
        """Anthropic's place for it is `metadata.user_id`; OpenAI's `user`, which is no field here, isn't passed on."""
        metadata = body.get("metadata")
        return metadata.get("user_id") if isinstance(metadata, dict) else None

    def changed(self, request: ModelRequest, model: ModelSnapshot) -> dict[str, Any]:
        return {"max_tokens": request.output_bound(model)}

    def upper_bound(self, body: dict[str, Any]) -> int:
        return tokens.input_bound(*(body.get(field) for field in _READ))

    def count_prompt(self, body: dict[str, Any]) -> int:
        return tokens.count_input(*(body.get(field) for field in _READ))

    def credentials(self, provider: ProviderSnapshot, headers: Mapping[str, str]) -> dict[str, str]:
        passed = {"anthropic-version": headers.get("anthropic-version") or VERSION}
        if beta := headers.get("anthropic-beta"):
            passed["anthropic-beta"] = beta
        if provider.api_key:
            passed["x-api-key"] = provider.api_key
        return passed

    def usage(self, answer: dict[str, Any]) -> Usage | None:
        return usage.of_messages(answer.get("usage"))

    def output_tokens(self, answer: dict[str, Any]) -> int:
        return tokens.count_input(answer.get("content"))

    def reader(self, request: ModelRequest) -> StreamReader:
        return EventReader()

    def message(self, key: str, request: ModelRequest, decision: Decision) -> dict[str, Any]:
        content = [{"type": "text", "text": decision.text}]
        ended = {"content": content, "stop_reason": "end_turn"}
        return {**_begun(key, request), **ended, "paywall": decision.extension()}

    def message_stream(self, key: str, request: ModelRequest, decision: Decision) -> bytes:
        begun = {**_begun(key, request), "paywall": decision.extension()}
        stopped = {"stop_reason": "end_turn", "stop_sequence": None}
        steps: list[dict[str, Any]] = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": decision.text},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stopped, "usage": {"output_tokens": 0}},
            {"type": "message_stop"},
        ]
        return b"".join(base.event(step, step["type"]) for step in steps)

    def error(self, error: ApiError) -> dict[str, Any]:
        fallback = (
            "api_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        )
        kind = _ERROR_TYPES.get(error.status, fallback)
        return {"type": "error", "error": {"type": kind, "message": error.message}}

    def error_event(self, error: ApiError) -> bytes:
        return base.event(self.error(error), "error")


def _begun(key: str, request: ModelRequest) -> dict[str, Any]:
    return {
        "id": f"msg_{key}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _NO_USAGE,
    }


def _type_of(event: bytes) -> object:
    try:
        parsed = orjson.loads(sse.data_of(event) or b"")
    except orjson.JSONDecodeError:
        return None
    return parsed.get("type") if isinstance(parsed, dict) else None


def _said_in_event(body: object) -> Iterator[tuple[estimate.Place, str]]:
    """What a delta adds to its block: text, thinking, or a tool call's input."""
    delta = body.get("delta") if isinstance(body, dict) else None
    if isinstance(body, dict) and isinstance(delta, dict) and body.get("type") == "content_block_delta":
        for field in ("text", "thinking", "partial_json"):
            if isinstance(delta.get(field), str):
                yield (str(body.get("index")), field), delta[field]
