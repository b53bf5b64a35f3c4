"""The built-in provider behind `sandbox://`: what a developer must test against, without a key or a bill.

- `echo` repeats the last user message after a preface, word by word, and reports usage.
- `slow` does the same with `SLOW_SECONDS` before each word.
- `error` fails with HTTP 500 before the first byte.
- `breaks` dies after a few words.
- `no-usage` never reports usage.

With tools, `call NAME {json}` as the last user message is answered by that tool call; its result by its text.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from config.errors import error_body
from proxy.response import UpstreamDied, UpstreamResponse
from proxy.sandbox.reply import Reply, reply_to
from proxy.sandbox.wire import Wire
from proxy.tokens import count_prompt

SLOW_SECONDS = 0.2
WORDS_BEFORE_THE_BREAK = 3


@dataclass(frozen=True, slots=True)
class Model:
    """How a model of the sandbox behaves."""

    seconds_a_word: float = 0
    breaks: bool = False
    reports_usage: bool = True


MODELS = {
    "echo": Model(),
    "slow": Model(seconds_a_word=SLOW_SECONDS),
    "breaks": Model(breaks=True),
    "no-usage": Model(reports_usage=False),
}


async def open_stream(body: Mapping[str, Any]) -> UpstreamResponse:
    """The answer to a chat request, streamed where `stream` is true, else one JSON body."""
    name = body.get("model")
    if name == "error":
        error = error_body("The sandbox model `error` fails every request.", type="server_error")
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, error)
    model = MODELS.get(str(name))
    if model is None:
        message = f"The sandbox has no model {name!r}; it has {', '.join([*MODELS, 'error'])}."
        error = error_body(message, type="invalid_request_error", code="model_not_found", param="model")
        return _error(HTTPStatus.NOT_FOUND, error)
    # Counting is CPU work, and others are streaming.
    reply, prompt_tokens = await asyncio.to_thread(lambda: (reply_to(body), count_prompt(body)))
    wire = Wire(str(name), reply, prompt_tokens, choices=body.get("n") or 1)
    if body.get("stream"):
        options = body.get("stream_options") or {}
        chunks = _streamed(model, wire, with_usage=model.reports_usage and bool(options.get("include_usage")))
        return _answer(HTTPStatus.OK, "text/event-stream; charset=utf-8", chunks)
    return _answer(HTTPStatus.OK, "application/json", _plain(model, reply, wire))


async def _streamed(model: Model, wire: Wire, *, with_usage: bool) -> AsyncIterator[bytes]:
    for event in wire.opening(with_usage):
        yield event
    for count, word in enumerate(wire.reply.words):
        if model.breaks and count == WORDS_BEFORE_THE_BREAK:
            break
        await asyncio.sleep(model.seconds_a_word)  # also with 0: others get their turn in a long answer
        for event in wire.word(word, with_usage):
            yield event
    if model.breaks:
        raise UpstreamDied("The sandbox model `breaks` broke off.")
    for event in wire.closing(with_usage):
        yield event


async def _plain(model: Model, reply: Reply, wire: Wire) -> AsyncIterator[bytes]:
    await asyncio.sleep(model.seconds_a_word * len(reply.words))
    body = orjson.dumps(wire.completion(with_usage=model.reports_usage))
    if model.breaks:
        yield body[: len(body) // 2]
        raise UpstreamDied("The sandbox model `breaks` broke off.")
    yield body


def _error(status: HTTPStatus, error: dict[str, Any]) -> UpstreamResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield orjson.dumps(error)

    return _answer(status, "application/json", chunks())


def _answer(status: HTTPStatus, content_type: str, chunks: AsyncIterator[bytes]) -> UpstreamResponse:
    # What a provider sends beside the answer, some of it about the operator's own account.
    headers = {
        "content-type": content_type,
        "x-request-id": f"req_{uuid.uuid4().hex}",
        "openai-organization": "sandbox",
        "openai-processing-ms": "1",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
    }
    return UpstreamResponse(status, headers, chunks)
