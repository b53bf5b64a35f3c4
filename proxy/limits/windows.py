"""A sliding minute, counted in two windows. Pure.

The sliding window counter of `limits` (its documentation, "Strategies"): what was counted in the window before counts
by the share of it that the last minute still covers. So a user can't ask for twice the limit around a window's edge,
as with fixed windows, and a limit costs two numbers, not an entry a token.
"""

import math
from dataclasses import dataclass, replace

# Seconds.
WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class Window:
    """Two neighboring windows: what each counted, and the seconds for which it is still of interest.

    `previous_ttl` is how much of the window before the last minute covers; `current_ttl` is a whole window more than
    what is left of the current one, 0 where none has begun.
    """

    previous: int = 0
    previous_ttl: float = 0.0
    current: int = 0
    current_ttl: float = 0.0

    @property
    def used(self) -> int:
        """What counts now."""
        return math.floor(self.previous * self.previous_ttl / WINDOW) + self.current

    def plus(self, amount: int) -> "Window":
        """With so much more."""
        return replace(self, current=self.current + amount, current_ttl=self.current_ttl or 2 * WINDOW)

    def wait(self, amount: int, limit: int) -> float:
        """Seconds until `amount`, which is at most `limit`, fits if nobody asks for more meanwhile."""
        room = limit - amount
        if self.current <= room:
            return _until(self.previous, self.previous_ttl, room - self.current)
        return self.current_ttl - WINDOW + _until(self.current, WINDOW, room)

    def reset(self, limit: int) -> float:
        """Seconds until all of the limit is free."""
        return self.wait(limit, limit)


def _until(count: int, ttl: float, room: int) -> float:
    """Seconds until a window that fades over its ttl counts no more than `room`."""
    if math.floor(count * ttl / WINDOW) <= room:
        return 0.0
    return max(0.0, ttl - (room + 1) * WINDOW / count)


def shown(seconds: float) -> str:
    """A duration as OpenAI's headers write it: `120ms`, `7s`, `1m30s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
