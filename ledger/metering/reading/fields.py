"""The fields of an event, each read by itself; where one can't be, Fault is raised."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from ledger.metering.reading.faults import Fault
from ledger.models import UsageEvent
from ledger.rating.catalogue import PROVIDERS
from ledger.rating.rules import SCALE

MAX_COUNT = 2**53 - 1
MAX_QUANTITY = 10**12
MAX_METADATA_BYTES = 16 * 1024

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_TYPES = frozenset(UsageEvent.Type.values)


def event_id(value: Any) -> str:
    """A UUID's text, in lower case."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Fault("event_id", "must be a UUID" if value is not None else "is required: a UUID")
    return value.lower()


def customer(value: Any) -> None:
    """Whose event it is; whether that is the key's own is looked at later."""
    if value is not None and not isinstance(value, str):
        raise Fault("customer_id", "must be a string")


def event_type(value: Any) -> str:
    """What sort of use it was."""
    if not isinstance(value, str) or value not in _TYPES:
        raise Fault("event_type", f"must be one of {', '.join(UsageEvent.Type.values)}")
    return value


def provider(value: Any) -> str:
    """A provider that prices are known of; none is an empty text."""
    if value is None:
        return ""
    if not isinstance(value, str) or value not in PROVIDERS:
        raise Fault("provider", f"must be one of {', '.join(PROVIDERS)}")
    return value


def text(field: str, value: Any, limit: int, *, named: bool = False) -> str | None:
    """A text or none; one that is `named` names somebody or something, and isn't empty."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Fault(field, "must be a string")
    if named and not value:
        raise Fault(field, "must not be empty; leave it out instead")
    if len(value) > limit:
        raise Fault(field, f"must have at most {limit} characters (it has {len(value)})")
    if not (value.isascii() and value.isprintable()) and UNUSABLE.search(value):
        raise Fault(field, "must not contain control or undecodable characters")
    return value


def required(field: str, value: Any, limit: int) -> str:
    """A text that must be there."""
    given = text(field, value, limit, named=True)
    if given is None:
        raise Fault(field, "is required")
    return given


def count(field: str, value: Any, *, least: int = 0) -> int | None:
    """A whole number or none."""
    if value is None:
        return None
    # JSON has one kind of number: 1.0 is a whole one.
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= MAX_COUNT:
        raise Fault(field, f"must be a whole number from {least} to {MAX_COUNT}")
    return value


def quantity(value: Any) -> int:
    """How many units, in billionths."""
    if value is None:
        return 0
    number = Decimal(str(value)) if type(value) in (int, float) else None
    if number is None or not 0 < number <= MAX_QUANTITY:
        raise Fault("quantity", f"must be a number above 0 and at most {MAX_QUANTITY}")
    scaled = number * SCALE
    if scaled != scaled.to_integral_value():
        raise Fault("quantity", "must have at most 9 decimals")
    return int(scaled)


def moment(value: Any, latest: datetime) -> datetime:
    """When it was used, at the latest `latest`."""
    if value is None:
        raise Fault("timestamp", "is required")
    try:
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Fault("timestamp", 'must be an ISO 8601 time such as "2026-01-31T12:00:00Z"') from None
    if when.tzinfo is None:
        raise Fault("timestamp", 'must say its time zone, as the "Z" in "2026-01-31T12:00:00Z"')
    if when.year < 1970 or when > latest:
        raise Fault("timestamp", "must be after 1970 and not in the future")
    return when


def metadata(value: Any) -> str:
    """An object, as JSON."""
    if not value and (value is None or value == {}):
        return "{}"
    if not isinstance(value, dict):
        raise Fault("metadata", "must be an object")
    dumped = orjson.dumps(value)
    if len(dumped) > MAX_METADATA_BYTES:
        raise Fault(
            "metadata", f"must be at most {MAX_METADATA_BYTES:,} bytes of JSON (it has {len(dumped):,})"
        )
    if b"\\u0000" in dumped:
        raise Fault("metadata", "must not contain NUL characters (\\u0000)")
    return dumped.decode()
