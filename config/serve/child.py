"""A process that the supervisor keeps running."""

import os
import signal
import subprocess
import sys
import time

from config.serve.lifeline import FLAG

# A process that ends on its own is started again after this long, doubled for every time it does so in a row.
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0
# Having run this long it counts as sound again.
SOUND_SECONDS = 60.0


class Child:
    """A module of ours, run in a session of its own: a terminal's Ctrl-C reaches the supervisor only."""

    def __init__(
        self, name: str, module: str, arguments: list[str] | None = None, *, keep: list[int] | None = None
    ):
        self.name = name
        self._command = [sys.executable, "-m", module, *(arguments or []), FLAG]
        self._keep = keep or []
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._failures = 0
        self._due: float | None = None

    def start(self) -> None:
        """Start the process. Its standard input is its lifeline: it ends when this process is gone."""
        self._due = None
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, pass_fds=self._keep, start_new_session=True
        )

    def exit_code(self) -> int | None:
        """None while it runs; 0 also where it never ran."""
        return self._process.poll() if self._process else 0

    def keep_running(self) -> str | None:
        """Start it again where it has ended and its delay is over; what to tell when it has just ended."""
        now = time.monotonic()
        if (code := self.exit_code()) is None:
            return None
        if self._due is None:
            sound = now - self._started > SOUND_SECONDS
            self._failures = 1 if sound else self._failures + 1
            delay = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (self._failures - 1))
            self._due = now + delay
            return f"the {self.name} ended with code {code}; it starts again in {delay:g} s"
        if now >= self._due:
            self.start()
        return None

    def ask_to_end(self) -> None:
        """SIGTERM: let what is under way end."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it, and all that it started, at once."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
