"""A Redis of a test's own, which can be stopped and started again.

with RedisServer() as redis:
    redis.url
    redis.stop(); redis.start()     # on the same port, forgetting everything
"""

import shutil
import socket
import subprocess
import tempfile
import time

import pytest
import redis as client


class RedisServer:
    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed: limits across processes can't be tested")
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="tollgate-redis-")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port: int = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def client(self) -> client.Redis:
        return client.Redis.from_url(self.url)

    def start(self) -> None:
        options = {"port": self._port, "bind": "127.0.0.1", "save": "", "dir": self._folder.name}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self.process = subprocess.Popen([self._program, *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client().ping()
                return
            except client.ConnectionError:
                assert time.monotonic() < deadline, "redis-server doesn't start"
                time.sleep(0.01)

    def stop(self) -> None:
        """As a machine that fails: without a word."""
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None
