"""Statements as values, so that one engine runs on a blocking connection and on an event loop's."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with its parameters; `returns` says whether it answers rows."""

    text: str
    params: Sequence[Any] = ()
    returns: bool = True


Rows = list[tuple[Any, ...]]
# Work on the database without the connection: yields the statements of one round trip, is sent their rows
# (an empty list for a statement that answers none), returns the result.
Work = Generator[list[Statement], list[Rows], Any]
