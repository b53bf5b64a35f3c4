"""Deliveries that tell about somebody: events name their people inside their bodies, which have no index."""

import uuid
from collections.abc import Sequence

from django.db import connection
from django.db.models import QuerySet

from webhooks.models import Delivery

# The paywall's latest events that are looked through.
EVENTS_READ = 2_000


def deliveries_about(paywall_id: uuid.UUID, names: Sequence[str]) -> QuerySet[Delivery]:
    """The deliveries, newest first, whose event holds one of these public ids; among the paywall's latest events."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM (
                SELECT id, body FROM webhooks_event WHERE paywall_id = %s ORDER BY id DESC LIMIT %s
            ) latest
            WHERE EXISTS (SELECT FROM unnest(%s::bytea[]) AS name WHERE position(name IN body) > 0)
            """,
            [paywall_id, EVENTS_READ, [name.encode() for name in names]],
        )
        events = [key for (key,) in cursor.fetchall()]
    return Delivery.objects.filter(event__in=events).select_related("event", "subscription").order_by("-id")
