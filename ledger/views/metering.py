"""Reported usage: taken in, listed, and billed later."""

import time
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.openapi import tenant_errors
from config.wire import stamp
from ledger.metering import billing, queries
from ledger.metering.ingest import Reporter, ingest
from ledger.metering.reading import read
from ledger.models import UsageEvent
from ledger.rating import credits
from ledger.serializers.metering import (
    BillAnswer,
    BillRequest,
    EventsQuery,
    IngestAccepted,
    IngestDuplicates,
    IngestRequest,
    UsageEventsAnswer,
)
from ledger.views.tenant import CreditView
from paywalls.models import Scope
from paywalls.tenants import home_of


class IngestView(CreditView):
    audited = False

    scopes = {"POST": Scope.INGEST}

    @extend_schema(
        operation_id="ingestEvents",
        summary="Report usage",
        tags=["Events"],
        request=IngestRequest,
        responses={
            200: OpenApiResponse(IngestDuplicates, "Every event was known; nothing was counted again."),
            202: OpenApiResponse(IngestAccepted, "Kept, rated and burned."),
            **tenant_errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """One fault in one event refuses the batch, and nothing of it is taken: `details` name each by index and field.
        The same event (`event_id`, or `idempotency_key`) counts once for ever."""
        started, now = time.perf_counter(), timezone.now()
        events = read(request.data, self.tenant.pk, now)
        caller = self.caller
        home_id = caller.home_id or home_of(self.tenant).pk
        taken = ingest(Reporter.of(self.tenant, home_id, caller.monthly_events), events, now)
        answer: dict[str, Any] = {
            "accepted": taken.accepted,
            "rejected": 0,
            "duplicates": taken.duplicates,
            "batch_id": str(taken.batch_id) if taken.batch_id else None,
        }
        if taken.batch_id is None:
            message = "All events were reported before."
            return Response({**answer, "status": "all_duplicates", "message": message})
        elapsed = round((time.perf_counter() - started) * 1_000, 3)
        return Response({**answer, "status": "accepted", "processing_time_ms": elapsed}, status=202)


class EventsView(CreditView):
    @extend_schema(
        operation_id="listEvents",
        summary="Reported usage, newest first",
        tags=["Events"],
        parameters=[EventsQuery],
        responses={200: OpenApiResponse(UsageEventsAnswer, "A page."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        """In the order in which it was taken in; `from` and `to` are about that as well."""
        asked = self.read(EventsQuery, request.query_params)
        page, following = queries.events(self.tenant.pk, asked)
        rate = self.tenant.credits_per_usd
        return Response(
            {
                "data": [_event(event, rate) for event in page],
                "nextCursor": str(following) if following else None,
            }
        )


class BillView(CreditView):
    @extend_schema(
        operation_id="billEvents",
        summary="Bill usage that was kept as unbilled",
        tags=["Events"],
        request=BillRequest,
        responses={
            200: OpenApiResponse(BillAnswer, "What could be billed was."),
            **tenant_errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """The oldest first. What has no price yet is rated again; what its wallet still can't cover stays unbilled."""
        billed = billing.bill(self.tenant, self.read(BillRequest)["limit"])
        amount = credits.of(billed.amount, self.tenant.credits_per_usd)
        return Response({"data": {"billed": billed.events, "credits": amount, "waiting": billed.waiting}})


def _event(event: UsageEvent, rate: int) -> dict[str, Any]:
    return {
        "id": str(event.pk),
        "eventId": str(event.event_id),
        "idempotencyKey": event.idempotency_key,
        "batchId": str(event.batch_id),
        "eventType": event.event_type,
        "featureId": event.feature_id,
        "userId": event.user.external_id if event.user else None,
        "teamId": event.team.external_id if event.team else None,
        "provider": event.provider or None,
        "model": event.model or None,
        "inputTokens": event.input_tokens + event.cache_read_tokens + event.cache_write_tokens,
        "cacheReadTokens": event.cache_read_tokens,
        "cacheWriteTokens": event.cache_write_tokens,
        "outputTokens": event.output_tokens,
        "imageCount": event.images,
        "unitType": event.unit_type or None,
        "quantity": event.quantity,
        "state": event.state,
        "credits": None if event.amount is None else credits.of(event.amount, rate),
        "costUsd": None if event.cost is None else credits.of(event.cost, 1),
        "timestamp": stamp(event.timestamp),
        "createdAt": stamp(event.created_at),
        "metadata": event.metadata,
    }
