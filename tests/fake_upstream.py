"""A provider for tests: a real HTTP server on loopback that does what a test tells it, and counts.

    with FakeUpstream() as upstream:
        upstream.answers({"choices": […], "usage": {…}})          # the next plain answers
        upstream.streams(b"data: …\\n\\n", 0.1, DIE)               # bytes, pauses in seconds, a broken connection
        upstream.requests                                         # what came: .path, .body, .headers, .aborted

It answers any path. Without a script it answers "Hello there." with a usage of 10 prompt and 3 completion tokens,
plain or streamed.
"""

import asyncio
import json
import threading
from dataclasses import dataclass, field

from aiohttp import web

DIE = object()  # close the connection where it is
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}


def chunk(delta=None, *, finish_reason=None, **more):
    """One chunk of a chat stream, as providers send it."""
    choices = (
        []
        if delta is None and finish_reason is None
        else [{"index": 0, "delta": delta or {}, "finish_reason": finish_reason}]
    )
    body = {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": choices,
    }
    return b"data: " + json.dumps({**body, **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
HELLO = (
    chunk({"role": "assistant", "content": ""}, usage=None),
    chunk({"content": "Hello"}, usage=None),
    chunk({"content": " there."}, usage=None),
    chunk({}, finish_reason="stop", usage=None),
)


def completion(text="Hello there.", usage=USAGE, **more):
    """A plain answer, as providers send it."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 1,
        "model": "up",
        "choices": [choice],
    }
    return {**body, **({} if usage is None else {"usage": usage}), **more}


@dataclass
class Seen:
    """A request that came; `aborted` once the gateway has closed it before the answer's end."""

    path: str
    body: dict
    headers: dict
    aborted: threading.Event = field(default_factory=threading.Event)


class FakeUpstream:
    def __init__(self):
        self.requests: list[Seen] = []
        self.delay = 0.0
        self._plain = None
        self._stream = None
        self._stream_headers = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    # --- Scripts -------------------------------------------------------------------------------------------

    def answers(self, body, status=200, headers=None):
        """Answer plain requests so; `body` may be a dict, bytes, or DIE."""
        self._plain = (body, status, headers or {})

    def streams(self, *script, headers=None):
        """Answer streamed requests with these bytes, pauses (seconds, or until an asyncio.Event) and DIE."""
        self._stream, self._stream_headers = script, headers or {}

    def call(self, function):
        """Call something in the server's own event loop, such as an event's `set`."""
        self._loop.call_soon_threadsafe(function)

    # --- The server ----------------------------------------------------------------------------------------

    def __enter__(self):
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *exc):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self):
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/{path:.+}", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, request):
        seen = Seen(request.path, await request.json(), dict(request.headers))
        self.requests.append(seen)
        try:
            await asyncio.sleep(self.delay)
            if seen.body.get("stream"):
                return await self._serve_stream(request, seen)
            return await self._serve_plain(request)
        except (asyncio.CancelledError, ConnectionError):
            seen.aborted.set()
            raise

    async def _serve_plain(self, request):
        body, status, headers = self._plain or (completion(), 200, {})
        if body is DIE:
            request.transport.abort()
            return web.Response()
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=raw, status=status, headers={"content-type": "application/json", **headers})

    async def _serve_stream(self, request, seen):
        if self._plain and self._plain[1] != 200:
            return await self._serve_plain(request)
        headers = {"content-type": "text/event-stream; charset=utf-8", **self._stream_headers}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        wants_usage = (seen.body.get("stream_options") or {}).get("include_usage")
        usage = (chunk(usage=USAGE),) if wants_usage else ()
        for step in self._stream if self._stream is not None else (*HELLO, *usage, DONE):
            if step is DIE:
                request.transport.abort()
                return response
            if isinstance(step, bytes):
                await response.write(step)
            elif isinstance(step, asyncio.Event):
                await step.wait()
            else:
                await asyncio.sleep(step)
        await response.write_eof()
        return response
