"""A customer's webhook endpoint: a real HTTP server on loopback that keeps what comes.

with Receiver() as receiver:
    receiver.answer = (500, b"not now")     # every answer from now on; a callable decides by the request
    receiver.wait_for(3)                    # the first three requests, once they came
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)["event"]

    @property
    def delivery(self) -> dict[str, Any]:
        return json.loads(self.body)["delivery"]


class Receiver:
    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: Answer | Callable[[Received], Answer] = (200, b"ok")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def types(self) -> list[str]:
        return [request.event["type"] for request in self.requests]

    def wait_for(self, count: int, seconds: float = 20) -> list[Received]:
        """The first `count` requests; fails where they don't come in time."""
        self.wait_until(lambda: len(self.requests) >= count, seconds)
        return self.requests[:count]

    def wait_until(self, reached: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, f"only these came: {self.types}"
            time.sleep(0.02)

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.path, headers, body)
                receiver.requests.append(received)
                answer = receiver.answer(received) if callable(receiver.answer) else receiver.answer
                status, content, *more = answer
                self.send_response(status)
                for name, value in more[0].items() if more else ():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
