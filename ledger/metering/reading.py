"""A batch of events as an app sends it: read, or refused with every fault by index and field. Pure."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from config.errors import ApiError
from ledger.models import UsageEvent
from ledger.rating.catalogue import PROVIDERS
from ledger.rating.rules import SCALE, Measure
from paywalls import usage
from paywalls.models.enduser import MAX_EXTERNAL_ID

MAX_EVENTS = 1_000
MAX_COUNT = 2**53 - 1
MAX_QUANTITY = 10**12
MAX_METADATA_BYTES = 16 * 1024
# As many faults as are worth reading.
MAX_FAULTS = 100
# A clock may run ahead, but not by more.
AHEAD = timedelta(days=1)

# What a client names when it means itself.
IGNORED = "ignored"

# Other APIs' names for what is counted here. Passed over, as unknown members are, they would make the use free.
_MISNAMED = {
    "prompt_tokens": "input_tokens",
    "promptTokens": "input_tokens",
    "inputTokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "completionTokens": "output_tokens",
    "outputTokens": "output_tokens",
}

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_TYPES = frozenset(UsageEvent.Type.values)


@dataclass(slots=True)
class Event:
    """An event that can be kept. `user` and `team` are the app's own ids, `timestamp` is when it was used.

    `event_id` is a UUID's text, in lower case.
    """

    event_id: str
    idempotency_key: str | None
    user: str | None
    team: str | None
    event_type: str
    feature_id: str
    provider: str
    model: str
    used: Measure
    image_size: str
    quality: str
    timestamp: datetime
    metadata: str


class InvalidEvents(ApiError):
    """Events that can't be taken; `details` name each fault by index and field."""

    code = "validation_error"

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        first = faults[0]
        where = "events" if first["index"] is None else f"events[{first['index']}]"
        field = f".{first['field']}" if first["field"] and first["index"] is not None else ""
        more = f" ({len(faults) - 1} more in details)" if len(faults) > 1 else ""
        super().__init__(f"{where}{field}: {first['message']}{more}")
        self.details = faults[:MAX_FAULTS]


class AnotherCustomer(ApiError):
    """An event names a customer other than the key's."""

    status = 403
    code = "another_customer"

    def __init__(self, index: int) -> None:
        super().__init__(
            f"events[{index}].customer_id: is another customer's. Nothing of the batch was taken."
        )


class _Fault(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read(body: Any, customer_id: uuid.UUID, now: datetime) -> list[Event]:
    """A body's events. Raises InvalidEvents where one can't be taken, AnotherCustomer where one is not the key's."""
    raw = body.get("events") if isinstance(body, dict) else None
    if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_EVENTS:
        raise InvalidEvents(
            [{"index": None, "field": "events", "message": f"must be a list of 1 to {MAX_EVENTS} events"}]
        )
    latest = now + AHEAD
    events, faults = [], []
    for index, item in enumerate(raw):
        try:
            events.append(_event(item, latest))
        except _Fault as fault:
            faults += [
                {"index": index, "field": name, "message": text} for name, text in _all(item, latest, fault)
            ]
    if faults:
        raise InvalidEvents(faults)
    own = {None, IGNORED, str(customer_id)}
    for index, item in enumerate(raw):
        named = item.get("customer_id")
        if named not in own and str(named).lower() not in own:
            raise AnotherCustomer(index)
    return events


def _event(item: Any, latest: datetime) -> Event:
    """The event, or the first fault that is found."""
    if not isinstance(item, dict):
        raise _Fault("", "must be an object")
    get = item.get
    _customer(get("customer_id"))
    provider, model = _provider(get("provider")), _text("model", get("model"), 128)
    used, provider, model = _measure(item, provider, model)
    return Event(
        event_id=_event_id(get("event_id")),
        idempotency_key=_text("idempotency_key", get("idempotency_key"), 255) or None,
        user=_text("user_id", get("user_id"), MAX_EXTERNAL_ID, named=True),
        team=_text("team_id", get("team_id"), MAX_EXTERNAL_ID, named=True),
        event_type=_type(get("event_type")),
        feature_id=_required("feature_id", get("feature_id"), 255),
        provider=provider,
        model=model,
        used=used,
        image_size=_text("image_size", get("image_size"), 32) or "",
        quality=_text("quality", get("quality"), 32) or "",
        timestamp=_moment(get("timestamp"), latest),
        metadata=_metadata(get("metadata")),
    )


def _all(item: Any, latest: datetime, first: _Fault) -> list[tuple[str, str]]:
    """Every fault of an event, each field looked at by itself."""
    if not isinstance(item, dict):
        return [(first.field, str(first))]
    get = item.get
    looks: list[Callable[[], object]] = [
        lambda: _event_id(get("event_id")),
        lambda: _customer(get("customer_id")),
        lambda: _text("user_id", get("user_id"), MAX_EXTERNAL_ID, named=True),
        lambda: _text("team_id", get("team_id"), MAX_EXTERNAL_ID, named=True),
        lambda: _type(get("event_type")),
        lambda: _required("feature_id", get("feature_id"), 255),
        lambda: _provider(get("provider")),
        lambda: _text("model", get("model"), 128),
        *(lambda name=name: _count(name, get(name)) for name in ("input_tokens", "output_tokens")),
        *(lambda name=name: _misnamed(item, name) for name in _MISNAMED),
        lambda: _count("image_count", get("image_count"), least=1),
        lambda: _quantity(get("quantity")),
        *(lambda name=name: _text(name, get(name), 32) for name in ("image_size", "quality", "unit_type")),
        lambda: _response(item),
        lambda: _moment(get("timestamp"), latest),
        lambda: _metadata(get("metadata")),
        lambda: _text("idempotency_key", get("idempotency_key"), 255),
    ]
    found = []
    for look in looks:
        try:
            look()
        except _Fault as fault:
            found.append((fault.field, str(fault)))
    return found or [(first.field, str(first))]


def _measure(item: dict[str, Any], provider: str, model: str | None) -> tuple[Measure, str, str]:
    get = item.get
    fresh, output = _count("input_tokens", get("input_tokens")), _count("output_tokens", get("output_tokens"))
    read = write = 0
    if fresh is None or output is None:
        for name in _MISNAMED:
            _misnamed(item, name)
    if fresh is None and output is None and (reported := _response(item)):
        found = reported.usage
        fresh, read, write, output = found.input, found.cache_read, found.cache_write, found.output
        provider, model = provider or reported.provider, model or reported.model[:128]
    return (
        Measure(
            fresh or 0,
            read,
            write,
            output or 0,
            _count("image_count", get("image_count"), least=1) or 0,
            _text("unit_type", get("unit_type"), 32) or "",
            _quantity(get("quantity")),
        ),
        provider,
        model or "",
    )


def _misnamed(item: dict[str, Any], name: str) -> None:
    """Raises _Fault for tokens under another API's name, where there are none under ours."""
    if item.get(name) is not None and item.get(_MISNAMED[name]) is None:
        raise _Fault(name, f"is not read; name it {_MISNAMED[name]}")


def _response(item: dict[str, Any]) -> usage.Reported | None:
    answer = item.get("provider_response")
    if answer is None or item.get("input_tokens") is not None or item.get("output_tokens") is not None:
        return None
    reported = usage.of_answer(answer)
    if reported is None or _UNUSABLE.search(reported.model):
        raise _Fault("provider_response", "has no usage that can be read (OpenAI, Anthropic or Gemini)")
    return reported


def _event_id(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise _Fault("event_id", "must be a UUID" if value is not None else "is required: a UUID")
    return value.lower()


def _customer(value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise _Fault("customer_id", "must be a string")


def _type(value: Any) -> str:
    if not isinstance(value, str) or value not in _TYPES:
        raise _Fault("event_type", f"must be one of {', '.join(UsageEvent.Type.values)}")
    return value


def _provider(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or value not in PROVIDERS:
        raise _Fault("provider", f"must be one of {', '.join(PROVIDERS)}")
    return value


def _text(field: str, value: Any, limit: int, *, named: bool = False) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Fault(field, "must be a string")
    if named and not value:
        raise _Fault(field, "must not be empty; leave it out instead")
    if len(value) > limit:
        raise _Fault(field, f"must have at most {limit} characters (it has {len(value)})")
    if not (value.isascii() and value.isprintable()) and _UNUSABLE.search(value):
        raise _Fault(field, "must not contain control or undecodable characters")
    return value


def _required(field: str, value: Any, limit: int) -> str:
    text = _text(field, value, limit, named=True)
    if text is None:
        raise _Fault(field, "is required")
    return text


def _count(field: str, value: Any, *, least: int = 0) -> int | None:
    if value is None:
        return None
    # JSON has one kind of number: 1.0 is a whole one.
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not least <= value <= MAX_COUNT:
        raise _Fault(field, f"must be a whole number from {least} to {MAX_COUNT}")
    return value


def _quantity(value: Any) -> int:
    """Billionths."""
    if value is None:
        return 0
    number = Decimal(str(value)) if type(value) in (int, float) else None
    if number is None or not 0 < number <= MAX_QUANTITY:
        raise _Fault("quantity", f"must be a number above 0 and at most {MAX_QUANTITY}")
    scaled = number * SCALE
    if scaled != scaled.to_integral_value():
        raise _Fault("quantity", "must have at most 9 decimals")
    return int(scaled)


def _moment(value: Any, latest: datetime) -> datetime:
    if value is None:
        raise _Fault("timestamp", "is required")
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _Fault("timestamp", 'must be an ISO 8601 time such as "2026-01-31T12:00:00Z"') from None
    if moment.tzinfo is None:
        raise _Fault("timestamp", 'must say its time zone, as the "Z" in "2026-01-31T12:00:00Z"')
    if moment.year < 1970 or moment > latest:
        raise _Fault("timestamp", "must be after 1970 and not in the future")
    return moment


def _metadata(value: Any) -> str:
    if not value and (value is None or value == {}):
        return "{}"
    if not isinstance(value, dict):
        raise _Fault("metadata", "must be an object")
    dumped = orjson.dumps(value)
    if len(dumped) > MAX_METADATA_BYTES:
        raise _Fault(
            "metadata", f"must be at most {MAX_METADATA_BYTES:,} bytes of JSON (it has {len(dumped):,})"
        )
    if b"\\u0000" in dumped:
        raise _Fault("metadata", "must not contain NUL characters (\\u0000)")
    return dumped.decode()
