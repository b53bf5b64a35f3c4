"""The events in the OpenAPI document's section `webhooks`, out of the catalogue."""

from typing import Any

from django.http import HttpRequest
from drf_spectacular.generators import SchemaGenerator

from webhooks import catalogue
from webhooks.catalogue import EventType

_TYPES = {str: "string", int: "integer", float: "number"}
_OWN = {"paywallId": "pw_018f", "ownerUserId": "ten_018f"}


def add_events(
    result: dict[str, Any], generator: SchemaGenerator, request: HttpRequest | None, public: bool
) -> dict[str, Any]:
    """drf-spectacular's hook: one entry for each event, with the schema and an example of its body."""
    result["webhooks"] = {event.key: {"post": _operation(event)} for event in catalogue.ALL.values()}
    return result


def _operation(event: EventType) -> dict[str, Any]:
    content = {"schema": _body_schema(event), "example": _example(event)}
    return {
        "operationId": f"on_{event.key.replace('.', '_')}",
        "summary": event.summary,
        "tags": ["Webhooks"],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"2XX": {"description": "Received; anything else is tried again."}},
    }


def _body_schema(event: EventType) -> dict[str, Any]:
    data = {name: {"type": "string"} for name in _OWN} | {
        name: _field_schema(value) for name, value in event.example.items()
    }
    return {
        "type": "object",
        "required": ["delivery", "event"],
        "properties": {
            "delivery": {"type": "object"},
            "event": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": [event.key]},
                    "data": {"type": "object", "required": sorted(data), "properties": data},
                },
            },
        },
    }


def _field_schema(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": _TYPES[type(value)]} if value is not None else {"type": ["string", "null"]}


def _example(event: EventType) -> dict[str, Any]:
    moment = "2026-05-01T12:34:56.000Z"
    return {
        "delivery": {
            "id": "del_018f",
            "subscriptionId": "sub_018f",
            "attempts": 1,
            "createdAt": moment,
            "updatedAt": moment,
        },
        "event": {
            "id": "evt_018f",
            **_OWN,
            "type": event.key,
            "version": catalogue.VERSION,
            "status": "pending",
            "createdAt": moment,
            "trigger": {"source": "api", "actorType": "paywall_key", "actorId": None},
            "subject": {"type": "user", "id": "usr_018f", "externalId": "alice"},
            "data": {**_OWN, **event.example},
            "metadata": {},
        },
    }
