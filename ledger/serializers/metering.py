"""Events on the wire. Batches are read by `ledger/metering/reading/`; what is here of them is their schema."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.wire import CursorQuery, StrictText, envelope
from ledger.metering.reading import MAX_COUNT, MAX_EVENTS
from ledger.models import UsageEvent
from ledger.rating.catalogue import PROVIDERS
from paywalls.models.enduser import MAX_EXTERNAL_ID


@extend_schema_field({"type": "number"})
class Number(serializers.Field[Any, Any, Any, Any]):
    """An exact number."""


class ReportedEvent(serializers.Serializer[Any]):
    event_id = serializers.UUIDField(help_text="Counts once for ever.")
    idempotency_key = serializers.CharField(
        required=False, max_length=255, help_text="Counts once for ever, too."
    )
    customer_id = serializers.CharField(required=False, help_text='The key\'s own customer, or "ignored".')
    user_id = serializers.CharField(required=False, max_length=MAX_EXTERNAL_ID)
    team_id = serializers.CharField(
        required=False,
        max_length=MAX_EXTERNAL_ID,
        help_text="Its wallet pays, else the user's, else the customer's.",
    )
    event_type = serializers.ChoiceField(UsageEvent.Type.choices)
    feature_id = serializers.CharField(max_length=255)
    provider = serializers.ChoiceField([(name, name) for name in PROVIDERS], required=False)
    model = serializers.CharField(required=False, max_length=128)
    input_tokens = serializers.IntegerField(required=False, min_value=0, max_value=MAX_COUNT)
    output_tokens = serializers.IntegerField(required=False, min_value=0, max_value=MAX_COUNT)
    provider_response = serializers.DictField(
        required=False,
        help_text="The provider's whole answer, whose usage is read where no tokens are given.",
    )
    image_count = serializers.IntegerField(required=False, min_value=1, max_value=MAX_COUNT)
    image_size = serializers.CharField(required=False, max_length=32)
    quality = serializers.CharField(required=False, max_length=32)
    unit_type = serializers.CharField(required=False, max_length=32, help_text='Such as "second".')
    quantity = serializers.FloatField(required=False, help_text="Above 0, of the unit.")
    timestamp = serializers.DateTimeField(help_text="When it was used; it counts in that day (UTC).")
    metadata = serializers.DictField(required=False)


class IngestRequest(serializers.Serializer[Any]):
    events = serializers.ListField(child=ReportedEvent(), min_length=1, max_length=MAX_EVENTS)


class IngestAccepted(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    batch_id = serializers.UUIDField()
    status = serializers.CharField()
    processing_time_ms = serializers.FloatField()


class IngestDuplicates(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    batch_id = serializers.UUIDField(allow_null=True)
    status = serializers.CharField()
    message = serializers.CharField()


class EventsQuery(CursorQuery):
    userId = StrictText(max_length=MAX_EXTERNAL_ID, required=False)
    teamId = StrictText(max_length=MAX_EXTERNAL_ID, required=False)
    eventType = serializers.ChoiceField(UsageEvent.Type.choices, required=False)
    featureId = StrictText(max_length=255, required=False)
    provider = StrictText(max_length=16, required=False)
    model = StrictText(max_length=128, required=False)
    state = serializers.ChoiceField(UsageEvent.State.choices, required=False)
    to = serializers.DateTimeField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name in Python.
        return {**super().get_fields(), "from": serializers.DateTimeField(required=False)}


class EventJson(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    eventId = serializers.UUIDField()
    idempotencyKey = serializers.CharField(allow_null=True)
    batchId = serializers.UUIDField()
    eventType = serializers.ChoiceField(UsageEvent.Type.choices)
    featureId = serializers.CharField()
    userId = serializers.CharField(allow_null=True)
    teamId = serializers.CharField(allow_null=True)
    provider = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    inputTokens = serializers.IntegerField(help_text="Cached tokens included.")
    cacheReadTokens = serializers.IntegerField()
    cacheWriteTokens = serializers.IntegerField()
    outputTokens = serializers.IntegerField()
    imageCount = serializers.IntegerField()
    unitType = serializers.CharField(allow_null=True)
    quantity = Number()
    state = serializers.ChoiceField(UsageEvent.State.choices)
    credits = Number(allow_null=True)
    costUsd = Number(allow_null=True)
    timestamp = serializers.DateTimeField()
    createdAt = serializers.DateTimeField()
    metadata = serializers.DictField()


UsageEventsAnswer = envelope(
    "UsageEventsAnswer", EventJson(many=True), nextCursor=serializers.CharField(allow_null=True)
)


class BillRequest(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=1, max_value=MAX_EVENTS, default=MAX_EVENTS)


class Billed(serializers.Serializer[Any]):
    billed = serializers.IntegerField(help_text="Events.")
    credits = Number(help_text="What they burned.")
    waiting = serializers.IntegerField(help_text="Events of these that stay unbilled.")


BillAnswer = envelope("BillAnswer", Billed())
