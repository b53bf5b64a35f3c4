"""Statements as values, so that one engine runs on a blocking connection and on an event loop's."""

import re
import uuid
from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson


class Statement(NamedTuple):
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

    The driver's own way asks every element for its type; for the columns of a batch this takes a fraction of the
    time.
    """
    values = list(values)
    kinds = set(map(type, values))
    if kinds == _TEXT:
        return _texts(values)
    if kinds <= _AS_IN_JSON:
        try:
            return f"{{{orjson.dumps(values)[1:-1].decode()}}}"
        except orjson.JSONEncodeError:
            # A number of more than 64 bits, which only the database may refuse.
            pass
    return f"{{{','.join(map(_element, values))}}}"


def columns(rows: Iterable[Sequence[Any]], width: int) -> tuple[str, ...]:
    """Rows turned into the arrays that unnest() wants, one for each of `width` columns."""
    return tuple(map(array, zip(*rows, strict=True))) or ("{}",) * width


def of_rows(text: str, rows: Iterable[Sequence[Any]]) -> Statement:
    """A statement that takes rows from `new(id uuid, amount bigint, ...)`, as its text calls them; it returns none.

    They go as one JSON document: a row that is alone, as an idle gateway writes it, takes half the work of an array for
    each column, and PostgreSQL no more. A value of a jsonb column may be any JSON.
    """
    text, names = _with_rows(text)
    documents = [dict(zip(names, row, strict=True)) for row in rows]
    return Statement(text, (orjson.dumps(documents).decode(), str(len(documents))), returns=False)


@lru_cache
def _with_rows(text: str) -> tuple[str, tuple[str, ...]]:
    """The statement as PostgreSQL takes it, and the names of its rows' columns."""
    [columns] = _NEW.findall(text)
    # The limit tells the planner how many there are, which else assumes a hundred.
    new = f"(SELECT * FROM json_to_recordset(%s::json) AS row({columns}) LIMIT %s) AS new"  # noqa: S608
    return _NEW.sub(new, text), tuple(column.split()[0] for column in columns.split(","))


def _element(value: object) -> str:
    return _ELEMENTS.get(type(value), _quoted)(value)


def _quoted(value: object) -> str:
    text = str(value)
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _texts(values: list[str]) -> str:
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return f'{{"{joined}"}}'


_ELEMENTS: dict[type, Callable[[Any], str]] = {
    uuid.UUID: lambda value: f"{value.int:032x}",
    int: str,
    bool: str,
    type(None): lambda _: "NULL",
}
_TEXT = {str}
_NEW = re.compile(r"\bnew\(([^)]*)\)")
# JSON has these as an array literal has them, and is written many at a time.
_AS_IN_JSON = {uuid.UUID, int, bool, date, datetime, type(None)}
