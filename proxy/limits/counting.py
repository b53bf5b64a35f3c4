"""What is asked of a counter, and what it answers; the same for Redis and for the process's own memory."""

from dataclasses import dataclass

from proxy.limits.windows import Window

# Seconds that a request's slot is kept without word from its process, which renews it three times in that time. So
# the slots of a process that was killed are free again this much later.
LEASE = 30.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So much (`amount`) of a limit per minute; `key` is whose, `unit` is "requests" or "tokens"."""

    key: str
    unit: str
    limit: int
    amount: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One of `limit` requests at a time."""

    key: str
    limit: int


@dataclass(frozen=True, slots=True)
class Take:
    """All of it or nothing, for one request (`lease` is its name)."""

    lease: str
    rates: tuple[Rate, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether it was granted, when (`time.time()`); each rate's window and each slot's use as they are after it."""

    granted: bool
    at: float
    windows: tuple[Window, ...]
    in_use: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Return:
    """What a request gives back: its slots, and for each of the keys the difference to what it took of them.

    `taken_at` is when (`Taken.at`): the difference counts in the window in which it was taken.
    """

    lease: str
    differences: tuple[tuple[str, int], ...]
    slots: tuple[str, ...]
    taken_at: float
