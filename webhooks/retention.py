"""Forgetting: events whose deliveries have all ended are removed when they are old, and their log with them."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

# Events removed in one transaction.
CHUNK = 1_000

_WAITING = "('pending', 'in_flight', 'retrying')"

# In the order of their ids, which is the order of time, so that a chunk goes on where the last one ended. An event with
# a delivery that still waits, if only for its endpoint to be activated again, stays whole.
_OLD = f"""
SELECT e.id FROM webhooks_event e
WHERE e.id > %s AND e.id < %s AND e.created_at < %s
  AND NOT EXISTS (SELECT 1 FROM webhooks_delivery d WHERE d.event_id = e.id AND d.state IN {_WAITING})
ORDER BY e.id LIMIT %s FOR UPDATE SKIP LOCKED
"""  # noqa: S608  (no value of anybody's)

# What was asked for again since the look above is left, and so keeps its event.
_FORGET_DELIVERIES = f"DELETE FROM webhooks_delivery WHERE event_id = ANY(%s) AND state NOT IN {_WAITING}"  # noqa: S608
_FORGET_EVENTS = """
DELETE FROM webhooks_event e
WHERE e.id = ANY(%s) AND NOT EXISTS (SELECT 1 FROM webhooks_delivery d WHERE d.event_id = e.id)
"""


def forget_old() -> int:
    """Remove what is older than WEBHOOK_RETENTION_DAYS, a chunk a transaction; the number of events."""
    if not settings.WEBHOOK_RETENTION_DAYS:
        return 0
    before = timezone.now() - timedelta(days=settings.WEBHOOK_RETENTION_DAYS)
    removed, last = 0, uuid.UUID(int=0)
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_OLD, [last, _key_after(before), before, CHUNK])
            chunk = [row[0] for row in cursor.fetchall()]
            if not chunk:
                return removed
            cursor.execute(_FORGET_DELIVERIES, [chunk])
            cursor.execute(_FORGET_EVENTS, [chunk])
            removed += cursor.rowcount
        last = chunk[-1]


def _key_after(moment: datetime) -> uuid.UUID:
    """A key that no row of this moment has reached: UUIDv7 begins with 48 bits of milliseconds.

    A day is added, for processes make the keys and the database stamps the rows, and their clocks may differ.
    """
    return uuid.UUID(int=int((moment + timedelta(days=1)).timestamp() * 1000) << 80)
