"""How OpenAI writes an answer: `chat.completion`, and the events of `chat.completion.chunk`."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import orjson

from proxy.sandbox.reply import Reply

DONE = b"data: [DONE]\n\n"


class Wire:
    """Writes one reply in OpenAI's shapes, the same for every one of `choices`."""

    def __init__(self, model: str, reply: Reply, prompt_tokens: int, *, choices: int) -> None:
        self.reply = reply
        self._choices = choices
        self._prompt_tokens = prompt_tokens
        self._frame = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": "fp_sandbox",
        }
        self._call_id = f"call_{uuid.uuid4().hex[:24]}"

    # --- A stream, an event at a time. Who asks for usage gets it as null until the end, as OpenAI does. ----

    def opening(self, with_usage: bool) -> Iterator[bytes]:
        """The first event of each choice, with the role."""
        delta: dict[str, Any] = {
            "role": "assistant",
            "content": None if self.reply.tool else "",
            "refusal": None,
        }
        if self.reply.tool:
            delta["tool_calls"] = [{"index": 0, **self._tool_call("")}]
        return self._events(delta, None, with_usage)

    def word(self, word: str, with_usage: bool) -> Iterator[bytes]:
        """A word in each choice."""
        if self.reply.tool:
            return self._events(
                {"tool_calls": [{"index": 0, "function": {"arguments": word}}]}, None, with_usage
            )
        return self._events({"content": word}, None, with_usage)

    def closing(self, with_usage: bool) -> Iterator[bytes]:
        """The last event of each choice, the usage where it is wanted, and the end mark."""
        yield from self._events({}, self.reply.finish_reason, with_usage)
        if with_usage:
            yield self._event({"choices": [], "usage": self._usage()})
        yield DONE

    def _events(self, delta: dict[str, Any], finish_reason: str | None, with_usage: bool) -> Iterator[bytes]:
        usage = {"usage": None} if with_usage else {}
        for index in range(self._choices):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            yield self._event({"choices": [choice], **usage})

    def _event(self, rest: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({**self._frame, "object": "chat.completion.chunk", **rest}) + b"\n\n"

    # --- A plain answer ----------------------------------------------------------------------------------

    def completion(self, *, with_usage: bool) -> dict[str, Any]:
        """The whole answer as one object."""
        text = None if self.reply.tool else self.reply.text
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if self.reply.tool:
            message["tool_calls"] = [self._tool_call(self.reply.text)]
        choices = [
            {"index": index, "message": message, "logprobs": None, "finish_reason": self.reply.finish_reason}
            for index in range(self._choices)
        ]
        usage = {"usage": self._usage()} if with_usage else {}
        return {**self._frame, "object": "chat.completion", "choices": choices, **usage}

    def _tool_call(self, arguments: str) -> dict[str, Any]:
        function = {"name": self.reply.tool, "arguments": arguments}
        return {"id": self._call_id, "type": "function", "function": function}

    def _usage(self) -> dict[str, Any]:
        completion_tokens = self.reply.tokens * self._choices
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self._prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
