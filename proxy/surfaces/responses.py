"""OpenAI's Responses."""

import time
from collections.abc import Iterator
from typing import Any

import orjson

from paywalls import usage
from paywalls.usage import Usage
from proxy import estimate, sse, tokens
from proxy.decisions import Decision
from proxy.snapshot import ModelSnapshot
from proxy.surfaces import base
from proxy.surfaces.base import InvalidRequest, ModelRequest, StreamReader, Surface

_FAILED = "response.failed"
_LAST = ("response.completed", "response.incomplete", _FAILED)
_NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}
# What a model reads of a request; the rest steers it.
_READ = ("instructions", "input", "tools", "text")


class EventReader(StreamReader):
    """Reads the typed events; the one that ends the stream holds the whole answer, with its usage."""

    def __init__(self) -> None:
        super().__init__()
        self._generated = estimate.Generated(_said_in_event)

    def see(self, event: bytes) -> bytes:
        if (data := sse.data_of(event)) is not None:
            if self.is_last(event):
                self._see_end(data)
            else:
                self.failed = self.failed or base.is_error(data)
                self._generated.add(data)
        return event

    def _see_end(self, data: bytes) -> None:
        self.finished = True
        ended = orjson.loads(data)
        self.failed = self.failed or ended["type"] == _FAILED
        answer = ended.get("response")
        if isinstance(answer, dict):
            self.usage = usage.of_responses(answer.get("usage"))

    def is_last(self, event: bytes) -> bool:
        data = sse.data_of(event)
        if data is None or not any(kind.encode() in data[:200] for kind in _LAST):
            return False
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError:
            return False
        return isinstance(parsed, dict) and parsed.get("type") in _LAST

    def output_tokens(self) -> int:
        return self._generated.tokens()


class Responses(Surface):
    """`background` is refused: its usage would come when nobody listens.

    What a provider stores (`previous_response_id`, `conversation`) counts as prompt there, and is not in the body: the
    hold can't cover it, the settlement charges it.
    """

    name = "responses"
    path = "/responses"

    def parse(self, raw: bytes) -> ModelRequest:
        body = base.parsed_object(raw)
        model = base.model_of(body)
        if "input" in body or "prompt" not in body:
            base.checked_input(body, "input")
        if base.flag(body, "background"):
            raise InvalidRequest("background: is not supported here, leave it out.", param="background")
        return ModelRequest(
            surface=self,
            body=body,
            model=model,
            stream=base.flag(body, "stream"),
            limit=base.whole(body, "max_output_tokens"),
        )

    def changed(self, request: ModelRequest, model: ModelSnapshot) -> dict[str, Any]:
        return {"max_output_tokens": request.output_bound(model)}

    def upper_bound(self, body: dict[str, Any]) -> int:
        return tokens.input_bound(*(body.get(field) for field in _READ))

    def count_prompt(self, body: dict[str, Any]) -> int:
        return tokens.count_input(*(body.get(field) for field in _READ))

    def usage(self, answer: dict[str, Any]) -> Usage | None:
        return usage.of_responses(answer.get("usage"))

    def output_tokens(self, answer: dict[str, Any]) -> int:
        return tokens.count_input(answer.get("output"))

    def reader(self, request: ModelRequest) -> StreamReader:
        return EventReader()

    def message(self, key: str, request: ModelRequest, decision: Decision) -> dict[str, Any]:
        item = _item(key, "completed", [_part(request, decision.text)])
        return {**_response(key, request, "completed", [item]), "paywall": decision.extension()}

    def message_stream(self, key: str, request: ModelRequest, decision: Decision) -> bytes:
        begun = _response(key, request, "in_progress", [])
        at = {"item_id": f"msg_{key}", "output_index": 0, "content_index": 0}
        part = _part(request, decision.text)
        kind, word = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
        more: dict[str, Any] = {} if kind == "refusal" else {"logprobs": []}
        item = _item(key, "completed", [part])
        steps: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": {**begun, "paywall": decision.extension()}}),
            ("response.in_progress", {"response": begun}),
            ("response.output_item.added", {"output_index": 0, "item": _item(key, "in_progress", [])}),
            ("response.content_part.added", {**at, "part": _part(request, "")}),
            (f"response.{kind}.delta", {**at, "delta": decision.text, **more}),
            (f"response.{kind}.done", {**at, word: decision.text, **more}),
            ("response.content_part.done", {**at, "part": part}),
            ("response.output_item.done", {"output_index": 0, "item": item}),
            ("response.completed", {"response": self.message(key, request, decision)}),
        ]
        return b"".join(
            base.event({"type": name, "sequence_number": number, **data}, name)
            for number, (name, data) in enumerate(steps)
        )


def _response(key: str, request: ModelRequest, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"resp_{key}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": request.model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": None,
        "top_p": None,
        "tool_choice": "auto",
        "tools": [],
        "usage": _NO_USAGE if status == "completed" else None,
    }


def _item(key: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": f"msg_{key}", "type": "message", "status": status, "role": "assistant", "content": content}


def _part(request: ModelRequest, text: str) -> dict[str, Any]:
    """The message; a refusal where JSON was asked for, which clients would parse as such otherwise."""
    asked = request.body.get("text")
    format = asked.get("format") if isinstance(asked, dict) else None
    if isinstance(format, dict) and format.get("type", "text") != "text":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _said_in_event(body: object) -> Iterator[tuple[estimate.Place, str]]:
    """What a delta event adds to the answer: text, reasoning, a refusal or a call's arguments."""
    if isinstance(body, dict) and isinstance(body.get("delta"), str):
        yield (str(body.get("type")), str(body.get("item_id")), str(body.get("content_index"))), body["delta"]
