"""Keys and public ids.

Rows are keyed by UUIDv7 (RFC 9562), whose order is the order in which they were made. The public form of an id
is a prefix that names the kind and the key's 32 hex digits: `pw_018f…`, `req_018f…`.
"""

import uuid
from datetime import datetime

from uuid_utils.compat import uuid7

PREFIXES = {
    "tenant": "ten",
    "paywall": "pw",
    "request": "req",
    "hold": "hld",
    "activity": "act",
    "subscription": "sub",
    "event": "evt",
    "delivery": "del",
    "user": "usr",
    "link": "lnk",
    "stripe_account": "sac",
    "team": "team",
    "wallet_user": "wus",
    "connection": "con",
    "authorization": "aut",
    "settlement": "stl",
    "withdrawal": "wdr",
}


def new() -> uuid.UUID:
    """A new UUIDv7 key."""
    return uuid7()


def many(count: int) -> list[str]:
    """New keys in order, as hex: the ones that follow a UUIDv7. None of it is a secret to who sees its neighbor."""
    # So far below the end of its random bits that none can overflow into the time.
    first = uuid7().int & ~(1 << 61)
    return [f"{first + index:032x}" for index in range(count)]


def public(kind: str, key: uuid.UUID) -> str:
    """The public form of a key, such as `pw_018f…`; `kind` is one of `PREFIXES`."""
    return f"{PREFIXES[kind]}_{key.hex}"


def parse(kind: str, public_id: str) -> uuid.UUID:
    """The key behind a public id.

    Raises ValueError where the prefix is another kind's or the rest is no key.
    """
    prefix, _, digits = public_id.partition("_")
    if prefix != PREFIXES[kind] or len(digits) != 32:
        raise ValueError(f"{public_id!r} is no {kind} id: it starts with {PREFIXES[kind]}_")
    return uuid.UUID(hex=digits)


def first_of(moment: datetime, *, later: int = 0) -> uuid.UUID:
    """The lowest id that `new` makes `later` seconds after a moment: ids begin with their milliseconds."""
    milliseconds = int((moment.timestamp() + later) * 1_000)
    return uuid.UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
