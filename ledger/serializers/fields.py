"""The fields that requests are made of."""

from typing import Any

import orjson
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config import money
from paywalls import identity
from paywalls.models.enduser import MAX_EXTERNAL_ID

MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 32


class UserField(serializers.CharField):
    """An end user's id, exactly as given: a CharField would trim it, and take numbers."""

    def to_internal_value(self, data: Any) -> str:
        return identity.check_external_id(data)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return None if data in (None, serializers.empty) else self.to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": r"^\d{1,12}(\.\d{1,9})?$", "example": "0.25"})
class AmountField(serializers.Field):
    """A decimal string of US dollars on the wire, nano-dollars inside."""

    default_error_messages = {
        "required": 'is required: a decimal string of US dollars such as "0.25"',
        "null": 'must be a decimal string of US dollars such as "0.25"',
    }

    def __init__(self, *, zero: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._zero = zero

    def to_internal_value(self, data: Any) -> int:
        try:
            return money.parse(data, zero=self._zero)
        except money.InvalidAmount as error:
            raise serializers.ValidationError(str(error)) from None


@extend_schema_field(OpenApiTypes.OBJECT)
class MetadataField(serializers.Field):
    """A small JSON object of the app's own, kept with the transfer."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be a JSON object")
        if not _is_storable(data):
            raise serializers.ValidationError(
                f"must not contain NUL characters (\\u0000) or nest deeper than {MAX_METADATA_DEPTH} levels"
            )
        size = len(orjson.dumps(data))
        if size > MAX_METADATA_BYTES:
            raise serializers.ValidationError(
                f"must be at most {MAX_METADATA_BYTES:,} bytes of JSON (this one has {size:,})"
            )
        return data


def _is_storable(value: Any, depth: int = 0) -> bool:
    """Whether jsonb takes what the JSON reader took: PostgreSQL stores no NUL, and its stack is finite."""
    if depth > MAX_METADATA_DEPTH:
        return False
    if isinstance(value, dict):
        return all("\0" not in key and _is_storable(item, depth + 1) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_storable(item, depth + 1) for item in value)
    return not isinstance(value, str) or "\0" not in value


class UserQuery(serializers.Serializer[Any]):
    user = UserField(
        required=False,
        max_length=MAX_EXTERNAL_ID,
        help_text="The end user, as your app names them. Beats the headers.",
    )
