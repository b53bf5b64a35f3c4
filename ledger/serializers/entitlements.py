"""Entitlements on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.wire import StrictText, envelope
from ledger.entitlements.consuming import MAX_UNITS
from ledger.entitlements.questions import ACTIONS
from ledger.models import Entitlement
from ledger.models.entitlement import MAX_FEATURE_ID
from ledger.serializers.fields import MetadataField
from paywalls.models.enduser import MAX_EXTERNAL_ID


@extend_schema_field({"type": "number", "minimum": 0, "nullable": True})
class WholeNumber(serializers.Field):
    """A JSON number without a fraction: 5 and 5.0 are the same to JavaScript."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != int(data):
            raise serializers.ValidationError("must be a whole number")
        return int(data)


class LimitRequest(serializers.Serializer[Any]):
    limitType = serializers.ChoiceField(Entitlement.LimitType.choices)
    limitValue = WholeNumber(required=False, allow_null=True)
    period = serializers.ChoiceField(Entitlement.Period.choices, required=False, allow_null=True)
    metadata = MetadataField(required=False)


class LimitPatch(LimitRequest):
    limitType = serializers.ChoiceField(Entitlement.LimitType.choices, required=False)


class EntitlementRequest(LimitRequest):
    userId = StrictText(
        max_length=MAX_EXTERNAL_ID,
        required=False,
        help_text="Absent: every user who has none, each on their own.",
    )
    featureId = StrictText(max_length=MAX_FEATURE_ID)


class EntitlementJson(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    userId = serializers.CharField(allow_null=True)
    featureId = serializers.CharField()
    limitType = serializers.ChoiceField(Entitlement.LimitType.choices)
    limitValue = serializers.IntegerField(allow_null=True)
    period = serializers.ChoiceField(Entitlement.Period.choices)
    metadata = serializers.JSONField()


EntitlementAnswer = envelope("EntitlementAnswer", EntitlementJson())
EntitlementsAnswer = envelope("EntitlementsAnswer", EntitlementJson(many=True))


class ActionRequest(serializers.Serializer[Any]):
    type = serializers.ChoiceField(ACTIONS)
    provider = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    estimated_input_tokens = serializers.IntegerField(required=False, min_value=0)
    estimated_output_tokens = serializers.IntegerField(required=False, min_value=0)


class ConsumeRequest(serializers.Serializer[Any]):
    """For the schema; `ledger.entitlements.questions` reads it."""

    userId = serializers.CharField(max_length=MAX_EXTERNAL_ID)
    featureId = serializers.CharField(max_length=MAX_FEATURE_ID)
    teamId = serializers.CharField(
        max_length=MAX_EXTERNAL_ID,
        required=False,
        help_text="The team that will pay, as the event will name it.",
    )
    action = ActionRequest(required=False, help_text="With a model, what it will cost is checked, too.")
    units = serializers.IntegerField(min_value=1, max_value=MAX_UNITS, default=1)
    idempotencyKey = serializers.CharField(
        max_length=255,
        required=False,
        help_text="Counts once. Use the `event_id` of the event that will report the use: it isn't counted again.",
    )


class UnitsRequest(serializers.Serializer[Any]):
    units = serializers.IntegerField(min_value=1, max_value=MAX_UNITS, default=1)
    idempotencyKey = StrictText(max_length=255, required=False, allow_null=True)


class ActionJson(serializers.Serializer[Any]):
    type = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the contract's name
    url = serializers.URLField()


class VerdictJson(serializers.Serializer[Any]):
    allowed = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)
    estimatedCostCredits = serializers.FloatField(allow_null=True)
    estimatedCostUsd = serializers.FloatField(allow_null=True)
    currentBalance = serializers.FloatField(allow_null=True, help_text="In credits; null without a wallet.")
    actions = ActionJson(many=True)
    usage = serializers.IntegerField(
        help_text="The uses in the limit's window, this one among them if counted."
    )
    limit = serializers.IntegerField(allow_null=True)
    limitType = serializers.ChoiceField(Entitlement.LimitType.choices)
    remaining = serializers.IntegerField(allow_null=True)
    resetAt = serializers.DateTimeField(allow_null=True)


def entitlement_json(row: Entitlement) -> dict[str, Any]:
    """An entitlement as it is answered."""
    return {
        "id": str(row.pk),
        "userId": row.user_id or None,
        "featureId": row.feature_id,
        "limitType": row.limit_type,
        "limitValue": row.limit_value,
        "period": row.period,
        "metadata": row.metadata,
    }
