"""Claiming due deliveries: by one statement, with a lease, a few at a time for each endpoint."""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction

from config import secrets
from webhooks.models import Delivery

# What an endpoint may have in flight at a time, in all: while it is well, while it is slow or failing, and while a
# breaker that was open tries whether it is back.
IN_FLIGHT_WELL = 4
IN_FLIGHT_PATIENT = 2
IN_FLIGHT_PROBE = 1

# Seconds by which a lease outlives the longest attempt.
LEASE_MARGIN = 45


class Queue(enum.Enum):
    """First attempts to endpoints that are well wait for nobody else's trouble: they have workers of their own."""

    PROMPT = ("pending", False)
    SLOW = ("pending", True)
    RETRIES = ("retrying", None)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery in flight, with all that an attempt needs. `token` is the lease: who records must hold it."""

    delivery_id: uuid.UUID
    token: uuid.UUID
    subscription_id: uuid.UUID
    event_id: uuid.UUID
    type: str
    version: str
    event_body: bytes
    attempts: int
    forgiven: int
    created_at: datetime
    claimed_at: datetime
    url: str
    custom_headers: Mapping[str, str]
    secret: str
    previous_secret: str

    def secrets(self) -> list[str]:
        """The secrets that sign, the current one first. Raises UndecryptableSecret."""
        stored = [self.secret, self.previous_secret] if self.previous_secret else [self.secret]
        return [secrets.decrypt(token) for token in stored]

    @property
    def counted_attempts(self) -> int:
        """The attempts since the delivery was made, or was last asked for."""
        return self.attempts - self.forgiven


# The endpoints with something waiting are found by skipping from one to the next along the index, so that a queue of
# any length costs one step. Locking them keeps two workers from filling the same endpoint at once; who finds one locked
# leaves it to the other.
_CLAIM = """
WITH RECURSIVE waiting AS (
    (SELECT subscription_id FROM webhooks_delivery WHERE state = %(state)s ORDER BY subscription_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.subscription_id FROM webhooks_delivery d
            WHERE d.state = %(state)s AND d.subscription_id > w.subscription_id
            ORDER BY d.subscription_id LIMIT 1)
    FROM waiting w WHERE w.subscription_id IS NOT NULL
), endpoints AS MATERIALIZED (
    SELECT s.id, CASE WHEN s.open_until IS NOT NULL THEN %(probe)s
                      WHEN s.is_slow THEN %(patient)s ELSE %(well)s END AS slots
    FROM webhooks_subscription s
    WHERE s.id IN (SELECT subscription_id FROM waiting) AND s.is_active
      AND (s.open_until IS NULL OR s.open_until <= now())
      AND (%(slow)s::boolean IS NULL OR s.is_slow = %(slow)s)
      AND (CASE WHEN %(only)s::uuid IS NULL THEN s.listening_until IS NULL ELSE s.id = %(only)s END)
    ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED
), due AS (
    SELECT d.id, d.place, d.next_attempt_at
    FROM endpoints e CROSS JOIN LATERAL (
        SELECT w.id, w.next_attempt_at, row_number() OVER (ORDER BY w.next_attempt_at, w.id) AS place
        FROM webhooks_delivery w
        WHERE w.state = %(state)s AND w.subscription_id = e.id AND w.next_attempt_at <= now()
        ORDER BY w.next_attempt_at, w.id
        LIMIT greatest(0, e.slots - (SELECT count(*) FROM webhooks_delivery f
                                     WHERE f.subscription_id = e.id AND f.state = 'in_flight'))
    ) d
    -- One of each endpoint before the second of any.
    ORDER BY d.place, d.next_attempt_at LIMIT %(limit)s
), claimed AS (
    UPDATE webhooks_delivery d
    SET state = 'in_flight', attempts = d.attempts + 1, lease_token = gen_random_uuid(),
        lease_until = now() + make_interval(secs => %(lease)s), last_attempt_at = now(), updated_at = now()
    FROM due WHERE d.id = due.id AND d.state = %(state)s
    RETURNING d.*
)
"""

_CLAIM_ONE = """
WITH claimed AS (
    UPDATE webhooks_delivery
    SET state = 'in_flight', attempts = attempts + 1, lease_token = gen_random_uuid(),
        lease_until = now() + make_interval(secs => %s), last_attempt_at = now(), updated_at = now()
    WHERE id = %s AND state IN ('pending', 'retrying') RETURNING *
)
"""

# What both end with: all that an attempt needs.
_CLAIMED = """
SELECT c.id, c.lease_token, c.subscription_id, c.event_id, e.type, e.version, e.body, c.attempts, c.forgiven,
    c.created_at, c.last_attempt_at, s.url, s.custom_headers::text, s.secret,
    CASE WHEN s.previous_secret_until > now() THEN s.previous_secret ELSE '' END
FROM claimed c JOIN webhooks_event e ON e.id = c.event_id JOIN webhooks_subscription s ON s.id = c.subscription_id
"""


def claim(queue: Queue, limit: int, *, only: uuid.UUID | None = None) -> list[Claim]:
    """Up to `limit` due deliveries of a queue, leased to the caller.

    `only` names one subscription, as `manage.py listen` does for its own, which nobody else claims.
    """
    state, slow = queue.value
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _CLAIM + _CLAIMED,
            {
                "state": state,
                "slow": slow,
                "only": only,
                "limit": limit,
                "lease": settings.WEBHOOK_TIMEOUT_SECONDS + LEASE_MARGIN,
                "well": IN_FLIGHT_WELL,
                "patient": IN_FLIGHT_PATIENT,
                "probe": IN_FLIGHT_PROBE,
            },
        )
        return [_claim(row) for row in cursor.fetchall()]


def claim_one(delivery: Delivery) -> Claim | None:
    """Lease one waiting delivery now, whatever its queue; None where somebody has it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _CLAIM_ONE + _CLAIMED,
            [settings.WEBHOOK_TIMEOUT_SECONDS + LEASE_MARGIN, delivery.pk],
        )
        row = cursor.fetchone()
        return _claim(row) if row else None


def take_back_lost() -> int:
    """Make deliveries due again whose worker died with them; the number of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE webhooks_delivery
            SET state = 'retrying', next_attempt_at = now(), lease_token = NULL, lease_until = NULL,
                error = 'the worker that sent it did not come back', updated_at = now()
            WHERE state = 'in_flight' AND lease_until < now()
            """
        )
        return cursor.rowcount


def _claim(row: tuple[Any, ...]) -> Claim:
    delivery_id, token, subscription_id, event_id, type, version, body, *rest = row
    attempts, forgiven, created_at, claimed_at, url, custom_headers, secret, previous = rest
    return Claim(
        delivery_id=delivery_id,
        token=token,
        subscription_id=subscription_id,
        event_id=event_id,
        type=type,
        version=version,
        event_body=bytes(body),
        attempts=attempts,
        forgiven=forgiven,
        created_at=created_at,
        claimed_at=claimed_at,
        url=url,
        custom_headers=orjson.loads(custom_headers),
        secret=secret,
        previous_secret=previous,
    )
