"""The paywall's own answers in the chat: a normal assistant message that holds the link.

An agent tells such a reply from a model's by the header `X-Paywall-Decision` and the extension field `paywall`.
Who would rather have an error sends `X-Paywall-Reply: error` and gets HTTP 402 with the OpenAI error object. An
empty balance is never 429, which clients retry for ever.
"""

import time
from dataclasses import dataclass
from typing import Any

import orjson

from config import money
from config.errors import error_body
from ledger import topups
from proxy.chat_request import ChatRequest
from proxy.http import Request, Response

DECISION_HEADER = "x-paywall-decision"
REPLY_HEADER = "x-paywall-reply"

INSUFFICIENT_FUNDS = "insufficient_funds"


@dataclass(frozen=True, slots=True)
class Decision:
    """Why the paywall answers instead of the model. Amounts are nano-dollars."""

    code: str
    text: str
    url: str
    required: int
    available: int

    def extension(self) -> dict[str, Any]:
        """The field `paywall` of the answer."""
        return {
            "decision": self.code,
            "url": self.url,
            "required": money.plain(self.required),
            "available": money.plain(self.available),
        }


def insufficient_funds(paywall_name: str, url: str, required: int, available: int) -> Decision:
    """The balance does not cover the request; the link tops it up."""
    return Decision(INSUFFICIENT_FUNDS, topups.invitation(paywall_name, url), url, required, available)


async def send(request: Request, response: Response, chat: ChatRequest, decision: Decision) -> None:
    """Answer with the decision in the form that the client asked for: message, stream, or HTTP 402."""
    headers = {DECISION_HEADER: decision.code, "x-should-retry": "false"}
    if request.header(REPLY_HEADER).strip().lower() == "error":
        body = error_body(decision.text, type=decision.code, code=decision.code)
        await response.json({**body, "paywall": decision.extension()}, 402, headers)
    elif chat.stream:
        await response.start(
            200, {**headers, "content-type": "text/event-stream", "cache-control": "no-cache"}
        )
        await response.finish(_stream(request, chat, decision))
    else:
        await response.json(_completion(request, chat, decision), 200, headers)


_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _head(request: Request, chat: ChatRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request.id.hex}",
        "object": kind,
        "created": int(time.time()),
        "model": chat.model,
    }


def _completion(request: Request, chat: ChatRequest, decision: Decision) -> dict[str, Any]:
    message = {"role": "assistant", "content": decision.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = _head(request, chat, "chat.completion")
    return {**head, "choices": [choice], "usage": _NO_USAGE, "paywall": decision.extension()}


def _stream(request: Request, chat: ChatRequest, decision: Decision) -> bytes:
    head = _head(request, chat, "chat.completion.chunk")
    delta = {"role": "assistant", "content": decision.text}
    chunks = [
        {
            **head,
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
            "paywall": decision.extension(),
        },
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    if chat.wants_usage:
        chunks.append({**head, "choices": [], "usage": _NO_USAGE})
    events = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
    return b"".join([*events, b"data: [DONE]\n\n"])
