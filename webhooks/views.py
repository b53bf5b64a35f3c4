"""The webhooks API: subscriptions, their tests and rotations, the catalogue, the log, retries and replays."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import ids
from config.openapi import errors
from paywalls.authentication import KeyHolder
from paywalls.models import Paywall
from webhooks import catalogue, parameters, serializers, services
from webhooks.drafts import stamp
from webhooks.errors import InvalidParameter, InvalidSubscription, UnknownDelivery, UnknownSubscription
from webhooks.models import Delivery, Subscription
from webhooks.serializers import log_json, subscription_json

_ACTIVE = OpenApiParameter(
    "status",
    {"type": "string", "enum": ["active", "inactive"]},
    description="Only those that are active, or those that are not.",
)
_FILTERS = [
    OpenApiParameter("subscriptionId", str),
    OpenApiParameter("status", {"type": "string", "enum": list(serializers.STATUSES)}),
    OpenApiParameter("eventType", str),
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": parameters.MAX_PAGE, "default": parameters.DEFAULT_PAGE},
    ),
    OpenApiParameter("cursor", str, description="`nextCursor` of the last page."),
]


class WebhookView(APIView):
    """What the endpoints share: everything belongs to the key's paywall."""

    def paywall(self) -> Paywall:
        assert isinstance(self.request.auth, Paywall)
        return self.request.auth

    def subscription(self, public_id: str) -> Subscription:
        """The paywall's own subscription. Raises UnknownSubscription."""
        found = Subscription.objects.filter(
            pk=parameters.key("subscription", public_id), paywall=self.paywall(), listening_until=None
        ).first()
        if found is None:
            raise UnknownSubscription
        return found

    def body(self) -> dict[str, Any]:
        """The JSON object that came; no body is an empty one."""
        return dict(self.request.data) if isinstance(self.request.data, dict) else {}


class SubscriptionsView(WebhookView):
    @extend_schema(
        operation_id="listWebhookSubscriptions",
        summary="The subscriptions of a paywall",
        tags=["Webhooks"],
        parameters=[_ACTIVE],
        responses={
            200: OpenApiResponse(serializers.SubscriptionsAnswer, "Newest first."),
            **errors(400, 401),
        },
    )
    def get(self, request: Request) -> Response:
        rows = Subscription.objects.filter(paywall=self.paywall(), listening_until=None).order_by("-id")
        if status := parameters.choice(request.query_params, "status", ("active", "inactive")):
            rows = rows.filter(is_active=status == "active")
        return Response({"subscriptions": [subscription_json(row) for row in rows]})

    @extend_schema(
        operation_id="createWebhookSubscription",
        summary="Subscribe to events",
        tags=["Webhooks"],
        request=serializers.SubscriptionRequest,
        responses={
            201: OpenApiResponse(serializers.SubscriptionAnswer, "With the whole secret, this once."),
            **errors(400, 401, 413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        body = self.body()
        if unknown := body.keys() - {"url", "events", "description", "customHeaders", "secret"}:
            raise InvalidSubscription(min(unknown), "is no member of a new subscription")
        holder = request.user
        made, secret = services.create(
            self.paywall().pk,
            url=body.get("url"),
            events=body.get("events"),
            description=body.get("description"),
            custom_headers=body.get("customHeaders"),
            secret=body.get("secret"),
            created_by=str(holder.key) if isinstance(holder, KeyHolder) else "",
        )
        return Response({"subscription": subscription_json(made, secret)}, status=201)


class SubscriptionView(WebhookView):
    @extend_schema(
        operation_id="getWebhookSubscription",
        summary="One subscription",
        tags=["Webhooks"],
        responses={200: OpenApiResponse(serializers.SubscriptionAnswer, "It."), **errors(401, 404)},
    )
    def get(self, request: Request, subscription_id: str) -> Response:
        return Response({"subscription": subscription_json(self.subscription(subscription_id))})

    @extend_schema(
        operation_id="updateWebhookSubscription",
        summary="Change a subscription, or activate it again",
        tags=["Webhooks"],
        request=serializers.SubscriptionPatch,
        responses={
            200: OpenApiResponse(serializers.SubscriptionAnswer, "As it is now."),
            **errors(400, 401, 404, 413, 415),
        },
    )
    def patch(self, request: Request, subscription_id: str) -> Response:
        changed = services.update(self.subscription(subscription_id), self.body())
        return Response({"subscription": subscription_json(changed)})

    @extend_schema(
        operation_id="deleteWebhookSubscription",
        summary="Deactivate a subscription",
        tags=["Webhooks"],
        responses={
            200: OpenApiResponse(serializers.DeactivatedAnswer, "It gets nothing more; its log stays."),
            **errors(401, 404),
        },
    )
    def delete(self, request: Request, subscription_id: str) -> Response:
        row = services.deactivate(self.subscription(subscription_id))
        return Response({"deactivated": True, "subscription": subscription_json(row)})


class RotateView(WebhookView):
    @extend_schema(
        operation_id="rotateWebhookSecret",
        summary="Replace the secret; both sign for 24 hours",
        tags=["Webhooks"],
        request=serializers.RotateRequest,
        responses={
            200: OpenApiResponse(serializers.RotateAnswer, "With the whole new secret, this once."),
            **errors(400, 401, 404, 413, 415),
        },
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        row = self.subscription(subscription_id)
        secret = services.rotate(row, self.body().get("secret"))
        assert row.previous_secret_until
        until = stamp(row.previous_secret_until)
        return Response({"subscription": subscription_json(row, secret), "previousSecretValidUntil": until})


class TestView(WebhookView):
    @extend_schema(
        operation_id="testWebhookSubscription",
        summary="Send a paywall.ping now and answer its outcome",
        tags=["Webhooks"],
        request=None,
        responses={200: OpenApiResponse(serializers.TestAnswer, "What came of it."), **errors(401, 404)},
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        delivery, result = services.test(self.subscription(subscription_id))
        return Response({"success": result.succeeded, "delivery": log_json(delivery)})


class ReplayView(WebhookView):
    @extend_schema(
        operation_id="replayWebhookEvents",
        summary="Send the stored events of a range again",
        tags=["Webhooks"],
        request=serializers.ReplayRequest,
        responses={
            202: OpenApiResponse(
                serializers.ReplayAnswer, f"At most {services.MAX_REPLAY:,} events looked at."
            ),
            **errors(400, 401, 404, 409, 413, 415),
        },
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        row = self.subscription(subscription_id)
        body = self.body()
        since, until = parameters.moment(body, "since"), parameters.moment(body, "until", timezone.now())
        cursor = body.get("cursor")
        after = parameters.cursor("event", cursor) if cursor is not None else None
        count, rest = services.replay(row, since=since, until=until, after=after)
        answer = {"deliveries": count, "nextCursor": ids.public("event", rest) if rest else None}
        return Response(answer, status=202)


class EventsView(WebhookView):
    @extend_schema(
        operation_id="listWebhookEvents",
        summary="The catalogue of events",
        tags=["Webhooks"],
        responses={200: OpenApiResponse(serializers.EventsAnswer, "All there are."), **errors(401)},
    )
    def get(self, request: Request) -> Response:
        listed = [
            {
                "type": event.key,
                "version": catalogue.VERSION,
                "description": event.summary,
                "fields": ["paywallId", "ownerUserId", *event.fields],
                "example": event.example,
            }
            for event in catalogue.ALL.values()
        ]
        return Response({"events": listed})


class LogsView(WebhookView):
    @extend_schema(
        operation_id="listWebhookLogs",
        summary="Deliveries and what came of them",
        tags=["Webhooks"],
        parameters=_FILTERS,
        responses={200: OpenApiResponse(serializers.LogsAnswer, "Newest first."), **errors(400, 401)},
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        rows = Delivery.objects.filter(
            subscription__paywall=self.paywall(), subscription__listening_until=None
        ).select_related("event")
        if subscription := query.get("subscriptionId"):
            rows = rows.filter(subscription_id=parameters.key("subscription", subscription))
        if status := parameters.choice(request.query_params, "status", tuple(serializers.STATUSES)):
            rows = rows.filter(state__in=serializers.STATUSES[status])
        if event_type := query.get("eventType"):
            if event_type not in {*catalogue.ALL, catalogue.PING}:
                raise InvalidParameter("eventType", f"{event_type[:128]!r} is no event.")
            rows = rows.filter(event__type=event_type)
        if cursor := query.get("cursor"):
            rows = rows.filter(pk__lt=parameters.cursor("delivery", cursor))
        limit = parameters.limit(query.get("limit"))
        page = list(rows.order_by("-id")[: limit + 1])
        rest = page[limit - 1].public_id if len(page) > limit else None
        return Response({"logs": [log_json(row) for row in page[:limit]], "nextCursor": rest})


class RetryView(WebhookView):
    @extend_schema(
        operation_id="retryWebhookDelivery",
        summary="Send a delivery again",
        tags=["Webhooks"],
        request=None,
        responses={
            202: OpenApiResponse(serializers.DeliveryAnswer, "It is due now."),
            **errors(401, 404, 409),
        },
    )
    def post(self, request: Request, delivery_id: str) -> Response:
        row = (
            Delivery.objects.filter(
                pk=parameters.key("delivery", delivery_id),
                subscription__paywall=self.paywall(),
                subscription__listening_until=None,
            )
            .select_related("subscription", "event")
            .first()
        )
        if row is None:
            raise UnknownDelivery
        return Response({"delivery": log_json(services.retry(row))}, status=202)
