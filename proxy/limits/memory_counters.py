"""Counting in the process: the embedded default, and where Redis is away."""

import time

from limits.aio.storage import MemoryStorage

from proxy.limits.counting import Return, Take, Taken
from proxy.limits.windows import WINDOW, Window


class MemoryCounters(MemoryStorage):
    """The library's windows, taken several at once.

    Nothing here waits, so nothing comes between a look and the count. What is over is forgotten once a minute; the
    library looks at every key with every hit.
    """

    def __init__(self) -> None:
        super().__init__()
        self._leases: dict[str, set[str]] = {}
        self._forget_at = 0.0

    def take(self, take: Take) -> Taken:
        """Take all or nothing."""
        now = time.time()
        self._forget(now)
        windows = [self._window(rate.key, now) for rate in take.rates]
        leases = [self._leases.get(slot.key, ()) for slot in take.slots]
        granted = all(
            window.used + rate.amount <= rate.limit for rate, window in zip(take.rates, windows, strict=True)
        ) and all(len(held) < slot.limit for slot, held in zip(take.slots, leases, strict=True))
        if granted:
            for rate in take.rates:
                _, current = _keys(rate.key, now)
                self.storage[current] += rate.amount
                self.expirations[current] = now + 2 * WINDOW
            for slot in take.slots:
                self._leases.setdefault(slot.key, set()).add(take.lease)
        return Taken(
            granted,
            now,
            tuple(
                window.plus(rate.amount) if granted else window
                for rate, window in zip(take.rates, windows, strict=True)
            ),
            tuple(len(held) + granted for held in leases),
        )

    def give_back(self, given: Return) -> None:
        """Count the differences, free the slots."""
        for key, difference in given.differences:
            _, counted_in = _keys(key, given.taken_at)
            if counted_in in self.storage:
                self.storage[counted_in] = max(0, self.storage[counted_in] + difference)
        for key in given.slots:
            if held := self._leases.get(key):
                held.discard(given.lease)
                if not held:
                    del self._leases[key]

    def _window(self, key: str, now: float) -> Window:
        previous, current = _keys(key, now)
        left = WINDOW - now % WINDOW
        return Window(self.storage.get(previous, 0), left, self.storage.get(current, 0), left + WINDOW)

    def _forget(self, now: float) -> None:
        if now < self._forget_at:
            return
        self._forget_at = now + WINDOW
        for key in [key for key, at in self.expirations.items() if at <= now]:
            del self.storage[key], self.expirations[key]


def _keys(key: str, at: float) -> tuple[str, str]:
    """The keys of the window before, and of the one of that moment."""
    return MemoryStorage.sliding_window_keys(key, int(WINDOW), at)
