"""What REST endpoints of several apps share on the wire: texts that can be stored, moments, exact JSON numbers."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer


class StrictText(serializers.CharField):
    """A text as it was given: not trimmed, no number taken for one, nothing that PostgreSQL can't store."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("must be a string")
        if any(char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in data):
            raise serializers.ValidationError("must not contain control characters")
        return data


class CursorQuery(serializers.Serializer[Any]):
    """A page of a list, newest first."""

    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)
    cursor = serializers.UUIDField(required=False, help_text="`nextCursor` of the last page.")


def envelope(
    name: str, content: serializers.BaseSerializer[Any], **more: serializers.Field[Any, Any, Any, Any]
) -> serializers.Serializer[Any]:
    """The schema of an answer `{"data": …}`; `more` stands beside it."""
    return inline_serializer(name, {"data": content, **more})


class ExactJsonRenderer(BaseRenderer):
    """JSON whose decimals are numbers of all their digits; a float would lose some."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        """The bytes; nothing for nothing."""
        return b"" if data is None else orjson.dumps(data, default=_exactly)


def exact(value: Decimal) -> str:
    """The plain digits of a decimal, without an exponent or trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z, as the contracts have it."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(exact(value))
    raise TypeError(f"{type(value)} is no JSON")
