"""Recording what came of attempts: on the delivery, and on its endpoint's health.

Only who still holds the delivery's lease records; a worker that comes late changes nothing.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from webhooks import health
from webhooks.claims import Claim
from webhooks.health import Health, Verdict
from webhooks.models import Subscription
from webhooks.sending import Result

_HEALTH = ("consecutive_failures", "failing_since", "failed_deliveries", "open_until", "is_slow")


def record(done: Sequence[tuple[Claim, Result]]) -> list[Subscription]:
    """Write the outcomes of attempts in one transaction; the endpoints that failed for too long (still active)."""
    now = timezone.now()
    judged = [(claim, result, _judge(claim, result)) for claim, result in done]
    with transaction.atomic():
        # Endpoints before deliveries: the order in which claims lock them.
        endpoints = _locked({claim.subscription_id for claim, _ in done})
        recorded = _write_deliveries(judged, now)
        return _write_health([item for item in judged if item[0].delivery_id in recorded], endpoints, now)


def _judge(claim: Claim, result: Result) -> Verdict:
    return health.judge(
        result.status,
        claim.counted_attempts,
        settings.WEBHOOK_MAX_ATTEMPTS,
        rotating=bool(claim.previous_secret),
    )


def _locked(subscription_ids: set[uuid.UUID]) -> dict[uuid.UUID, Subscription]:
    rows = Subscription.objects.filter(pk__in=subscription_ids).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}


def _write_deliveries(judged: Sequence[tuple[Claim, Result, Verdict]], now: datetime) -> set[uuid.UUID]:
    rows = [
        (
            claim.delivery_id,
            claim.token,
            verdict.value,
            _next_attempt(claim, result, now) if verdict is Verdict.RETRY else None,
            result.status,
            result.milliseconds,
            result.body,
            result.error,
        )
        for claim, result, verdict in judged
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE webhooks_delivery d
            SET state = new.state, next_attempt_at = new.next_attempt_at, lease_token = NULL, lease_until = NULL,
                response_status = new.status, response_ms = new.ms, response_body = new.body, error = new.error,
                updated_at = now()
            FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::int[], %s::int[], %s::text[],
                %s::text[]) AS new(id, token, state, next_attempt_at, status, ms, body, error)
            WHERE d.id = new.id AND d.state = 'in_flight' AND d.lease_token = new.token
            RETURNING d.id
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
        return {row[0] for row in cursor.fetchall()}


def _next_attempt(claim: Claim, result: Result, now: datetime) -> datetime:
    base = settings.WEBHOOK_BACKOFF_BASE_SECONDS
    return now + timedelta(seconds=health.retry_in(claim.counted_attempts, base, result.retry_after))


def _write_health(
    judged: Sequence[tuple[Claim, Result, Verdict]],
    endpoints: dict[uuid.UUID, Subscription],
    now: datetime,
) -> list[Subscription]:
    touched: dict[uuid.UUID, Subscription] = {}
    for claim, result, verdict in judged:
        endpoint = endpoints.get(claim.subscription_id)
        if endpoint is None:
            continue
        touched[endpoint.pk] = endpoint
        record = health.after(_health_of(endpoint), verdict, result.milliseconds, now)
        for name in _HEALTH:
            setattr(endpoint, name, getattr(record, name))
        if verdict is Verdict.SUCCEEDED:
            endpoint.last_delivered_at = now
    for endpoint in touched.values():
        endpoint.save(update_fields=[*_HEALTH, "last_delivered_at"])
    days = settings.WEBHOOK_DISABLE_AFTER_DAYS
    return [
        endpoint
        for endpoint in touched.values()
        if endpoint.is_active and health.should_disable(_health_of(endpoint), now, days)
    ]


def _health_of(endpoint: Subscription) -> Health:
    return Health(**{name: getattr(endpoint, name) for name in _HEALTH})
