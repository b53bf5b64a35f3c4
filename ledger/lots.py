"""Lots: credits that burn, and the order in which they do. Pure; amounts are nano-dollars."""

import uuid
from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

PAID, GRANTED, TRIAL = "paid", "granted", "trial"

# Where a lot stands that was given no priority; a smaller number burns sooner.
DEFAULT_PRIORITY = 50

_NEVER = datetime.max.replace(tzinfo=UTC)

# What each lot gained (or gave, below zero).
Parts = tuple[tuple[uuid.UUID, int], ...]


class Lot(NamedTuple):
    """A credit of which `remaining` can still burn."""

    id: uuid.UUID
    kind: str
    amount: int
    remaining: int
    created_at: datetime
    expires_at: datetime | None = None
    priority: int = DEFAULT_PRIORITY

    @property
    def burn_key(self) -> tuple[int, datetime, bool, datetime, uuid.UUID]:
        """Smallest priority first, then soonest expiry, then granted before paid, then oldest, then id."""
        return (self.priority, self.expires_at or _NEVER, self.kind == PAID, self.created_at, self.id)

    def with_remaining(self, remaining: int) -> "Lot":
        """The lot with another rest."""
        return Lot(
            self.id, self.kind, self.amount, remaining, self.created_at, self.expires_at, self.priority
        )

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over; at the very moment of its expiry it is."""
        return self.expires_at is not None and self.expires_at <= now


def in_order(lots: Iterable[Lot]) -> tuple[Lot, ...]:
    """The lots of which something is left, as they burn."""
    live = [lot for lot in lots if lot.remaining]
    if len(live) > 1:
        live.sort(key=lambda lot: lot.burn_key)
    return tuple(live)


def burn(
    lots: tuple[Lot, ...], amount: int, *, first: uuid.UUID | None = None
) -> tuple[tuple[Lot, ...], Parts]:
    """Take `amount` from the lots in order, from `first` before the others; what they lack is in no part."""
    places: Iterable[int] = range(len(lots))
    if first is not None:
        places = sorted(places, key=lambda place: lots[place].id != first)
    rest, burned = list(lots), []
    for place in places:
        if not amount:
            break
        lot = lots[place]
        part = min(amount, lot.remaining)
        amount -= part
        burned.append((lot.id, -part))
        rest[place] = lot.with_remaining(lot.remaining - part)
    return tuple([lot for lot in rest if lot.remaining]), tuple(burned)


def put(lots: tuple[Lot, ...], parts: Iterable[tuple[Lot, int]]) -> tuple[tuple[Lot, ...], Parts]:
    """Add to lots what they gain; a lot that is not among them (new, or burned to the end) joins them."""
    live, gained = list(lots), []
    for lot, part in parts:
        # Its place is where its key says, whether it is there or not.
        place = bisect_left(live, lot.burn_key, key=lambda other: other.burn_key)
        if place < len(live) and live[place].id == lot.id:
            live[place] = live[place].with_remaining(live[place].remaining + part)
        else:
            live.insert(place, lot.with_remaining(part))
        gained.append((lot.id, part))
    return tuple(live), tuple(gained)
