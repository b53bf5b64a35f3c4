"""What owners do with subscriptions and deliveries."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from config import ids, secrets
from config.sql import Statement
from webhooks import catalogue, claims, hints, outbox, recording, rules, sending
from webhooks.drafts import API, Draft, Subject
from webhooks.errors import DeliveryUnderWay, Inactive, InvalidSubscription
from webhooks.models import Delivery, Subscription
from webhooks.sending import Result

# How long a replaced secret signs beside the new one.
OVERLAP = timedelta(hours=24)

# Events sent again by one request.
MAX_REPLAY = 1_000

# The members of a subscription that can change: (name on the wire, column, rule).
SETTINGS = (
    ("url", "url", rules.url),
    ("events", "events", rules.events),
    ("description", "description", rules.description),
    ("customHeaders", "custom_headers", rules.custom_headers),
    ("isActive", "is_active", rules.is_active),
)

_WELL = {
    "consecutive_failures": 0,
    "failing_since": None,
    "failed_deliveries": 0,
    "open_until": None,
    "is_slow": False,
    "disabled_reason": "",
}


def create(
    paywall_id: uuid.UUID,
    *,
    url: Any,
    events: Any,
    description: Any = None,
    custom_headers: Any = None,
    secret: Any = None,
    created_by: str = "",
    listening_until: datetime | None = None,
) -> tuple[Subscription, str]:
    """A new subscription and its whole secret, which is not shown again. Raises InvalidSubscription."""
    plain = rules.secret(secret)
    made = Subscription.objects.create(
        paywall_id=paywall_id,
        url=rules.url(url),
        events=rules.events(events),
        description=rules.description(description),
        custom_headers=rules.custom_headers(custom_headers),
        secret=secrets.encrypt(plain),
        secret_suffix=plain[-6:],
        created_by=created_by,
        listening_until=listening_until,
    )
    made.refresh_from_db(fields=["created_at"])
    return made, plain


def update(subscription: Subscription, changes: dict[str, Any]) -> Subscription:
    """Change the members given (by their names on the wire). Activating one forgives what it failed before.

    Raises InvalidSubscription, also for a member that can't be changed.
    """
    known = {name: (column, rule) for name, column, rule in SETTINGS}
    fields: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            hint = (
                "make a new one with POST …/rotate" if name == "secret" else f"one of {', '.join(known)} can"
            )
            raise InvalidSubscription(name, f"can't be changed; {hint}")
        column, rule = known[name]
        fields[column] = rule(value)
    if fields.get("is_active") and not subscription.is_active:
        fields |= _WELL
    if "url" in fields and fields["url"] != subscription.url:
        fields = _WELL | fields
    for column, value in fields.items():
        setattr(subscription, column, value)
    subscription.save(update_fields=[*fields, "updated_at"])
    return subscription


def deactivate(subscription: Subscription) -> Subscription:
    """Send nothing more; what waits stays, and goes on when the subscription is active again."""
    return update(subscription, {"isActive": False})


def rotate(subscription: Subscription, secret: Any = None) -> str:
    """Give the subscription another secret, which is answered this once; the last one signs on for 24 hours."""
    plain = rules.secret(secret)
    with transaction.atomic():
        locked = Subscription.objects.select_for_update(no_key=True).get(pk=subscription.pk)
        locked.previous_secret = locked.secret
        locked.previous_secret_until = timezone.now() + OVERLAP
        locked.secret, locked.secret_suffix = secrets.encrypt(plain), plain[-6:]
        columns = ["previous_secret", "previous_secret_until", "secret", "secret_suffix"]
        locked.save(update_fields=[*columns, "updated_at"])
    subscription.refresh_from_db()
    return plain


def test(subscription: Subscription) -> tuple[Delivery, Result]:
    """Send a `paywall.ping` now, and answer what came of it; it is not tried again."""
    ping = Draft(
        catalogue.PING,
        {"message": "Hello from Tollgate"},
        Subject("subscription", subscription.public_id),
        API,
    )
    delivery = _single(subscription, ping)
    claim = claims.claim_one(delivery)
    assert claim, "nobody else claims a delivery that is due next year"
    result = sending.send(claim)
    recording.record([(claim, result)])
    # One answer was asked for: a ping that failed is not sent again.
    Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.RETRYING).update(
        state=Delivery.State.EXHAUSTED, next_attempt_at=None
    )
    delivery.refresh_from_db()
    return delivery, result


def _single(subscription: Subscription, draft: Draft) -> Delivery:
    """Write an event for one subscription alone, whatever it listens to, not due by itself."""
    event_id, delivery_id = ids.new(), ids.new()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM paywalls_paywall WHERE id = %s", [subscription.paywall_id])
        [tenant_id] = cursor.fetchone()
        body = draft.body(event_id, subscription.paywall_id, tenant_id)
        _run(
            outbox.insert_events(
                [(event_id, subscription.paywall_id, tenant_id, draft.type, draft.request_id, body)]
            ),
            outbox.insert_deliveries([(delivery_id, event_id, subscription.pk)]),
        )
        delivery = Delivery.objects.get(pk=delivery_id)
        delivery.next_attempt_at = timezone.now() + timedelta(days=365)
        delivery.save(update_fields=["next_attempt_at"])
    return delivery


def retry(delivery: Delivery) -> Delivery:
    """Send a delivery again from its first attempt, whatever became of it. Raises DeliveryUnderWay or Inactive."""
    if not delivery.subscription.is_active:
        raise Inactive
    asked = (
        Delivery.objects.filter(pk=delivery.pk)
        .exclude(state=Delivery.State.IN_FLIGHT)
        .update(
            state=Delivery.State.RETRYING,
            forgiven=delivery.attempts,
            next_attempt_at=timezone.now(),
            updated_at=timezone.now(),
        )
    )
    if not asked:
        raise DeliveryUnderWay
    hints.wake()
    delivery.refresh_from_db()
    return delivery


def replay(
    subscription: Subscription, *, since: datetime, until: datetime, after: uuid.UUID | None = None
) -> tuple[int, uuid.UUID | None]:
    """Send the stored events of a range, which the subscription wants, again; (how many, where to go on or None).

    An event keeps its id, so that a receiver that has it knows it. Raises Inactive.
    """
    if not subscription.is_active:
        raise Inactive
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, type FROM webhooks_event
            WHERE paywall_id = %s AND created_at >= %s AND created_at < %s AND type <> %s
              AND (%s::uuid IS NULL OR id > %s)
            ORDER BY id LIMIT %s FOR KEY SHARE
            """,
            [subscription.paywall_id, since, until, catalogue.PING, after, after, MAX_REPLAY],
        )
        found = cursor.fetchall()
        rows = [
            (ids.new(), event_id, subscription.pk)
            for event_id, type in found
            if catalogue.matches(subscription.events, type)
        ]
        if rows:
            _run(outbox.insert_deliveries(rows))
            transaction.on_commit(hints.wake)
    return len(rows), found[-1][0] if len(found) == MAX_REPLAY else None


def _run(*statements: Statement) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.text, statement.params)
