"""A provider that speaks Anthropic Messages, and says what the sandbox says."""

import json
import re
import uuid

from aiohttp import web

from tests.fake_upstream import FakeUpstream

CALL = re.compile(r"call (\w+) (\{.*\})")


class Claude(FakeUpstream):
    """`You said: …` for a text, a `tool_use` for `call NAME {json}`, `The tool said: …` for a tool's result."""

    async def _serve_plain(self, request):
        block, reason = reply((await request.json())["messages"][-1]["content"])
        return web.json_response(
            {**message(), "content": [block], "stop_reason": reason, "usage": {**USAGE, "output_tokens": 5}}
        )

    async def _serve_stream(self, request, seen):
        block, reason = reply(seen.body["messages"][-1]["content"])
        if block["type"] == "text":
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in re.findall(r" *\S+", block["text"])]
        else:
            empty = {**block, "input": {}}
            written = json.dumps(block["input"])
            deltas = [
                {"type": "input_json_delta", "partial_json": part} for part in (written[:5], written[5:])
            ]
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for event in (
            {"type": "message_start", "message": {**message(), "content": [], "usage": USAGE}},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ):
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        await response.write_eof()
        return response


USAGE = {"input_tokens": 10, "output_tokens": 1}


def message():
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": "up",
        "stop_reason": None,
        "stop_sequence": None,
    }


def reply(content):
    """The content block that answers a user's content, and the reason to stop."""
    if isinstance(content, list):
        [part] = content
        told = part["content"] if part["type"] == "tool_result" else part["text"]
        preface = "The tool said: " if part["type"] == "tool_result" else "You said: "
        return {"type": "text", "text": preface + told}, "end_turn"
    if call := CALL.fullmatch(content):
        use = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": call[1]}
        return {**use, "input": json.loads(call[2])}, "tool_use"
    return {"type": "text", "text": "You said: " + content}, "end_turn"
