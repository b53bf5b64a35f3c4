"""The wire shapes of the webhooks API. What comes in is read by `webhooks.rules`."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config import ids
from webhooks import catalogue, rules
from webhooks.drafts import stamp
from webhooks.models import Delivery, Subscription
from webhooks.models.subscription import MAX_DESCRIPTION, MAX_URL

# How the log calls the states of a delivery.
STATUSES = {
    "pending": (Delivery.State.PENDING, Delivery.State.IN_FLIGHT, Delivery.State.RETRYING),
    "success": (Delivery.State.SUCCEEDED,),
    "error": (Delivery.State.REFUSED, Delivery.State.EXHAUSTED),
}


def subscription_json(row: Subscription, secret: str | None = None) -> dict[str, Any]:
    """A subscription as its owner reads it; the whole secret only where it was just made."""
    answer = {
        "id": row.public_id,
        "paywallId": ids.public("paywall", row.paywall_id),
        "url": row.url,
        "events": row.events,
        "isActive": row.is_active,
        "description": row.description,
        "customHeaders": row.custom_headers,
        "createdAt": stamp(row.created_at),
        "updatedAt": stamp(row.updated_at),
        "createdBy": row.created_by,
        "consecutiveFailures": max(row.consecutive_failures, row.failed_deliveries),
        "secretSuffix": row.secret_suffix,
    }
    if row.disabled_reason:
        answer["disabledReason"] = row.disabled_reason
    if row.last_delivered_at:
        answer["lastDeliveredAt"] = stamp(row.last_delivered_at)
    if secret is not None:
        answer["secret"] = secret
    return answer


def log_json(row: Delivery) -> dict[str, Any]:
    """A delivery as the log shows it."""
    answer: dict[str, Any] = {
        "id": row.public_id,
        "subscriptionId": ids.public("subscription", row.subscription_id),
        "status": status_of(row),
        "attempts": row.attempts,
        "createdAt": stamp(row.created_at),
        "updatedAt": stamp(row.updated_at),
        "event": row.event.content,
    }
    if row.last_attempt_at:
        answer["lastAttemptAt"] = stamp(row.last_attempt_at)
    if row.next_attempt_at and row.state == Delivery.State.RETRYING:
        answer["nextRetryAt"] = stamp(row.next_attempt_at)
    if row.response_status is not None:
        answer |= {"responseCode": row.response_status, "responseBody": row.response_body}
    if row.response_ms is not None:
        answer["responseLatencyMs"] = row.response_ms
    if row.error:
        answer["error"] = row.error
    return answer


def status_of(row: Delivery) -> str:
    """The delivery's state in the log's three words."""
    return next(status for status, states in STATUSES.items() if row.state in states)


# --- For the OpenAPI document ----------------------------------------------------------------------------


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 10})
class HeadersField(serializers.DictField):
    """Headers by name."""


class EventsField(serializers.ListField):
    child = serializers.CharField()


class SubscriptionMembers(serializers.Serializer[Any]):
    url = serializers.URLField(max_length=MAX_URL, help_text="An HTTPS address.")
    events = EventsField(
        min_length=1, help_text='Event keys, prefixes such as `paywall.balance.*`, or `["*"]` alone.'
    )
    description = serializers.CharField(required=False, max_length=MAX_DESCRIPTION)
    customHeaders = HeadersField(
        required=False, help_text=f"At most {rules.MAX_CUSTOM_HEADERS}, sent with every delivery."
    )


class SubscriptionRequest(SubscriptionMembers):
    """A new subscription."""

    secret = serializers.CharField(
        required=False,
        min_length=rules.MIN_SECRET,
        max_length=rules.MAX_SECRET,
        help_text="Your own secret; without one we make `whsec_…`.",
    )


class SubscriptionPatch(serializers.Serializer[Any]):
    """What of a subscription changes."""

    url = serializers.URLField(required=False, max_length=MAX_URL)
    events = EventsField(required=False, min_length=1)
    description = serializers.CharField(required=False, max_length=MAX_DESCRIPTION)
    customHeaders = HeadersField(required=False)
    isActive = serializers.BooleanField(required=False)


class WebhookSubscription(SubscriptionMembers):
    id = serializers.CharField()
    paywallId = serializers.CharField()
    isActive = serializers.BooleanField()
    disabledReason = serializers.CharField(
        required=False, help_text="Why it was deactivated, where we did so."
    )
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()
    createdBy = serializers.CharField()
    consecutiveFailures = serializers.IntegerField(help_text="Failures since the last success.")
    lastDeliveredAt = serializers.DateTimeField(required=False)
    secretSuffix = serializers.CharField(help_text="The secret's last 6 characters.")
    secret = serializers.CharField(required=False, help_text="Answered once, where it was just made.")


class SubscriptionAnswer(serializers.Serializer[Any]):
    subscription = WebhookSubscription()


class SubscriptionsAnswer(serializers.Serializer[Any]):
    subscriptions = WebhookSubscription(many=True)


class DeactivatedAnswer(SubscriptionAnswer):
    deactivated = serializers.BooleanField()


class RotateRequest(serializers.Serializer[Any]):
    secret = serializers.CharField(required=False, help_text="Your own next secret.")


class RotateAnswer(SubscriptionAnswer):
    previousSecretValidUntil = serializers.DateTimeField(help_text="Until then both secrets sign.")


@extend_schema_field(OpenApiTypes.OBJECT)
class EventField(serializers.Field):
    """An event as it is delivered."""


class WebhookDeliveryLog(serializers.Serializer[Any]):
    id = serializers.CharField()
    subscriptionId = serializers.CharField()
    status = serializers.ChoiceField(choices=list(STATUSES))
    attempts = serializers.IntegerField()
    lastAttemptAt = serializers.DateTimeField(required=False)
    nextRetryAt = serializers.DateTimeField(required=False)
    responseCode = serializers.IntegerField(required=False)
    responseLatencyMs = serializers.IntegerField(required=False)
    responseBody = serializers.CharField(required=False, help_text="Its first 16 KB.")
    error = serializers.CharField(required=False)
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()
    event = EventField()


class DeliveryAnswer(serializers.Serializer[Any]):
    delivery = WebhookDeliveryLog()


class TestAnswer(DeliveryAnswer):
    success = serializers.BooleanField(help_text="Whether the endpoint answered with 2xx.")


class LogsAnswer(serializers.Serializer[Any]):
    logs = WebhookDeliveryLog(many=True)
    nextCursor = serializers.CharField(allow_null=True, help_text="`cursor` of the next page.")


class ReplayRequest(serializers.Serializer[Any]):
    since = serializers.DateTimeField(help_text="The first moment; events are stored while somebody listens.")
    until = serializers.DateTimeField(
        required=False, help_text="The first moment that is over. Default: now."
    )
    cursor = serializers.CharField(required=False, help_text="`nextCursor` of the last answer.")


class ReplayAnswer(serializers.Serializer[Any]):
    deliveries = serializers.IntegerField(help_text="How many deliveries were made.")
    nextCursor = serializers.CharField(allow_null=True, help_text="Where to go on; null at the end.")


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": list(catalogue.ALL)},
            "version": {"type": "string"},
            "description": {"type": "string"},
            "fields": {"type": "array", "items": {"type": "string"}},
            "example": {"type": "object", "additionalProperties": {}},
        },
    }
)
class EventTypeField(serializers.Field):
    """A line of the catalogue."""


class EventsAnswer(serializers.Serializer[Any]):
    events = serializers.ListField(child=EventTypeField())
