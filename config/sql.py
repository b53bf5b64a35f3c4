"""Statements as values, so that one engine runs on a blocking connection and on an event loop's."""

import uuid
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
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


def array(values: Iterable[Any]) -> str:
    """The literal of a PostgreSQL array, for a parameter like `%s::uuid[]`.

    The driver's own way asks every element for its type; for the columns of a batch this takes a quarter of the
    time.
    """
    elements = ["NULL" if value is None else _ELEMENTS.get(type(value), _quoted)(value) for value in values]
    return f"{{{','.join(elements)}}}"


def _quoted(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_ELEMENTS: dict[type, Callable[[Any], str]] = {
    uuid.UUID: attrgetter("hex"),
    int: str,
    bool: str,
}
