"""Events that can be kept, and every fault of those that can't."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ledger.metering.reading import fields, measures
from ledger.metering.reading.faults import AnotherCustomer, Fault, InvalidEvents
from ledger.rating.rules import Measure
from paywalls.models.enduser import MAX_EXTERNAL_ID

MAX_EVENTS = 1_000
# A clock may run ahead, but not by more.
AHEAD = timedelta(days=1)

# What a client names when it means itself.
IGNORED = "ignored"


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
        except Fault as fault:
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
        raise Fault("", "must be an object")
    get = item.get
    fields.customer(get("customer_id"))
    provider, model = fields.provider(get("provider")), fields.text("model", get("model"), 128)
    used, provider, model = measures.measure(item, provider, model)
    return Event(
        event_id=fields.event_id(get("event_id")),
        idempotency_key=fields.text("idempotency_key", get("idempotency_key"), 255) or None,
        user=fields.text("user_id", get("user_id"), MAX_EXTERNAL_ID, named=True),
        team=fields.text("team_id", get("team_id"), MAX_EXTERNAL_ID, named=True),
        event_type=fields.event_type(get("event_type")),
        feature_id=fields.required("feature_id", get("feature_id"), 255),
        provider=provider,
        model=model,
        used=used,
        image_size=fields.text("image_size", get("image_size"), 32) or "",
        quality=fields.text("quality", get("quality"), 32) or "",
        timestamp=fields.moment(get("timestamp"), latest),
        metadata=fields.metadata(get("metadata")),
    )


def _all(item: Any, latest: datetime, first: Fault) -> list[tuple[str, str]]:
    """Every fault of an event, each field looked at by itself."""
    if not isinstance(item, dict):
        return [(first.field, str(first))]
    get = item.get
    looks: list[Callable[[], object]] = [
        lambda: fields.event_id(get("event_id")),
        lambda: fields.customer(get("customer_id")),
        lambda: fields.text("user_id", get("user_id"), MAX_EXTERNAL_ID, named=True),
        lambda: fields.text("team_id", get("team_id"), MAX_EXTERNAL_ID, named=True),
        lambda: fields.event_type(get("event_type")),
        lambda: fields.required("feature_id", get("feature_id"), 255),
        lambda: fields.provider(get("provider")),
        lambda: fields.text("model", get("model"), 128),
        *(lambda name=name: fields.count(name, get(name)) for name in ("input_tokens", "output_tokens")),
        *(lambda name=name: measures.misnamed(item, name) for name in measures.MISNAMED),
        lambda: fields.count("image_count", get("image_count"), least=1),
        lambda: fields.quantity(get("quantity")),
        *(
            lambda name=name: fields.text(name, get(name), 32)
            for name in ("image_size", "quality", "unit_type")
        ),
        lambda: measures.response(item),
        lambda: fields.moment(get("timestamp"), latest),
        lambda: fields.metadata(get("metadata")),
        lambda: fields.text("idempotency_key", get("idempotency_key"), 255),
    ]
    found = []
    for look in looks:
        try:
            look()
        except Fault as fault:
            found.append((fault.field, str(fault)))
    return found or [(first.field, str(first))]
