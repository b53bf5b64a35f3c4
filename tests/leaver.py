"""A client that leaves in the middle of an answer."""

import json
import socket
import time


class Leaver:
    """A client that closes its connection when it has seen enough."""

    def __init__(self, site, body):
        content = json.dumps(body).encode()
        host, port = site.url().removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {site.key}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + content)

    def read_until(self, marker):
        """Read until `marker` was seen."""
        seen = b""
        while marker not in seen:
            part = self.socket.recv(65536)
            assert part, "the server closed the connection first"
            seen += part

    def leave_after(self, marker=b""):
        """Read until `marker` was seen (at once without one), then leave."""
        self.read_until(marker)
        self.socket.close()


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return answer
