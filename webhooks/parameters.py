"""What the webhooks API reads from queries and bodies: ids, cursors, limits, times."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from config import ids
from webhooks.errors import InvalidParameter

DEFAULT_PAGE = 20
MAX_PAGE = 100

_NOBODY = uuid.UUID(int=0)


def key(kind: str, public_id: str) -> uuid.UUID:
    """The key behind a public id; one that no row has, where it is none."""
    try:
        return ids.parse(kind, public_id)
    except ValueError:
        return _NOBODY


def cursor(kind: str, value: object) -> uuid.UUID:
    """The key that a page ended with. Raises InvalidParameter."""
    found = key(kind, value) if isinstance(value, str) else _NOBODY
    if found == _NOBODY:
        raise InvalidParameter("cursor", "must be the nextCursor of the last answer.")
    return found


def choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    """One of the choices, or None where the query names none. Raises InvalidParameter."""
    value = query.get(name)
    if value is not None and value not in choices:
        raise InvalidParameter(name, f"must be one of {', '.join(choices)}.")
    return value


def limit(value: str | None) -> int:
    """How many rows a page has. Raises InvalidParameter."""
    if value is None:
        return DEFAULT_PAGE
    if not (value.isascii() and value.isdigit() and len(value) <= 3 and 1 <= int(value) <= MAX_PAGE):
        raise InvalidParameter("limit", f"must be a number from 1 to {MAX_PAGE}.")
    return int(value)


def moment(body: Mapping[str, Any], name: str, default: datetime | None = None) -> datetime:
    """A time of a body, with its time zone. Raises InvalidParameter."""
    value = body.get(name)
    if value is None and default:
        return default
    try:
        parsed = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise InvalidParameter(name, 'must be a time such as "2026-05-01T12:00:00Z".')
    return parsed
