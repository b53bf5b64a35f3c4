"""What the balance and charge endpoints read and answer."""

from typing import Any

import orjson
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config import money
from ledger.idempotency import RESERVED_MEMBER
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

    def to_internal_value(self, data: Any) -> int:
        try:
            return money.parse(data)
        except money.InvalidAmount as error:
            raise serializers.ValidationError(str(error)) from None


@extend_schema_field(OpenApiTypes.OBJECT)
class MetadataField(serializers.Field):
    """A small JSON object of the app's own, kept with the transfer."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be a JSON object")
        if RESERVED_MEMBER in data:
            raise serializers.ValidationError(f"must not use the reserved member {RESERVED_MEMBER!r}")
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


class MovementRequest(serializers.Serializer[Any]):
    """A deposit or a charge: who, how much, and what the app wants to remember about it."""

    user = UserField(
        required=False,
        allow_null=True,
        max_length=MAX_EXTERNAL_ID,
        help_text="The end user, as your app names them. Beats the headers; required without one.",
    )
    amount = AmountField(help_text="US dollars, at most 9 decimals.")
    metadata = MetadataField(
        required=False, help_text="A JSON object of at most 16 KB, kept with the ledger entry."
    )


class BalanceAnswer(serializers.Serializer[Any]):
    balance = serializers.CharField(
        help_text="What can be spent now, in nano-dollars (10^-9 USD), as an integer string. "
        "Below zero is debt."
    )
    balanceFormatted = serializers.CharField(help_text='The same as people read it, such as "$12.50".')


class TopUpAnswer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="A hosted page where this end user adds money. It expires.")


class DepositAnswer(serializers.Serializer[Any]):
    balance = serializers.CharField(
        help_text="The balance right after this deposit, in nano-dollars, as an integer string. "
        "What requests under way have reserved is not taken off."
    )
    balanceFormatted = serializers.CharField(help_text='The same as people read it, such as "$12.50".')
    activityId = serializers.CharField(help_text="The ledger entry, such as `act_018f…`.")


class ChargeAnswer(serializers.Serializer[Any]):
    success = serializers.BooleanField(help_text="False where the balance doesn't cover the amount.")
    activityId = serializers.CharField(required=False, help_text="The ledger entry of a charge that stands.")
    message = serializers.CharField(
        required=False, help_text="Of a refused charge: a text to show as it is. It holds the top-up link."
    )
