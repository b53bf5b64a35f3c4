"""The outbox: events and their deliveries, written in the transaction of what they tell about.

Rolled back means never sent, committed means sent at least once. The statements are values (see `config.sql`), so
that the ledger writes them in its own round trips; `emit()` writes them on Django's connection.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from config import ids
from config.sql import Statement
from webhooks import catalogue, hints
from webhooks.drafts import Draft


@dataclass(frozen=True, slots=True)
class Listener:
    """A live subscription, as the outbox needs it."""

    paywall_id: uuid.UUID
    tenant_id: uuid.UUID
    subscription_id: uuid.UUID
    patterns: Sequence[str]


# A subscription that a stopped `manage.py listen` left behind isn't live.
LIVE = "s.is_active AND (s.listening_until IS NULL OR s.listening_until > clock_timestamp())"


def listeners_of(paywall_ids: Iterable[uuid.UUID]) -> Statement:
    """The rows of the Listeners of these paywalls."""
    return Statement(
        f"""
        SELECT s.paywall_id, p.tenant_id, s.id, s.events
        FROM webhooks_subscription s JOIN paywalls_paywall p ON p.id = s.paywall_id
        WHERE s.paywall_id = ANY(%s::uuid[]) AND {LIVE}
        """,  # noqa: S608  (no value of anybody's)
        (list(set(paywall_ids)),),
    )


def writes(drafts: Iterable[tuple[uuid.UUID, Draft]], listeners: Iterable[Listener]) -> list[Statement]:
    """The statements that write each (paywall id, event) that somebody wants; none where nobody does."""
    by_paywall: dict[uuid.UUID, list[Listener]] = {}
    for listener in listeners:
        by_paywall.setdefault(listener.paywall_id, []).append(listener)
    events = []
    deliveries = []
    for paywall_id, draft in drafts:
        takers = [
            taker for taker in by_paywall.get(paywall_id, ()) if catalogue.matches(taker.patterns, draft.type)
        ]
        if not takers:
            continue
        event_id = ids.new()
        tenant_id = takers[0].tenant_id
        body = draft.body(event_id, paywall_id, tenant_id)
        events.append((event_id, paywall_id, tenant_id, draft.type, draft.request_id, body))
        deliveries += [(ids.new(), event_id, taker.subscription_id) for taker in takers]
    return [insert_events(events), insert_deliveries(deliveries)] if events else []


def insert_events(
    rows: Sequence[tuple[uuid.UUID, uuid.UUID, uuid.UUID, str, uuid.UUID | None, bytes]],
) -> Statement:
    """(id, paywall id, tenant id, type, request id, body)"""
    return Statement(
        """
        INSERT INTO webhooks_event (id, paywall_id, tenant_id, type, version, request_id, body)
        SELECT id, paywall_id, tenant_id, type, %s, request_id, body
        FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::bytea[])
            AS new(id, paywall_id, tenant_id, type, request_id, body)
        """,
        (catalogue.VERSION, *map(list, zip(*rows, strict=True))),
        returns=False,
    )


def insert_deliveries(rows: Sequence[tuple[uuid.UUID, uuid.UUID, uuid.UUID]]) -> Statement:
    """(id, event id, subscription id), due at once."""
    return Statement(
        """
        INSERT INTO webhooks_delivery (id, event_id, subscription_id, state, attempts, forgiven, next_attempt_at,
            response_body, error, updated_at)
        SELECT id, event_id, subscription_id, 'pending', 0, 0, now(), '', '', now()
        FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS new(id, event_id, subscription_id)
        """,
        tuple(map(list, zip(*rows, strict=True))),
        returns=False,
    )


def wanted_events(paywall_id: uuid.UUID) -> frozenset[str]:
    """The keys of the events that a live subscription of the paywall takes."""
    found = listeners_of([paywall_id])
    with connection.cursor() as cursor:
        cursor.execute(found.text, found.params)
        return catalogue.wanted(pattern for row in cursor.fetchall() for pattern in row[3])


def emit(paywall_id: uuid.UUID, *drafts: Draft) -> int:
    """Write the events that a live subscription of the paywall wants.

    In the caller's transaction, or one of its own. Answers how many deliveries were made.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        found = listeners_of([paywall_id])
        cursor.execute(found.text, found.params)
        listeners = [Listener(*row) for row in cursor.fetchall()]
        statements = writes([(paywall_id, draft) for draft in drafts], listeners)
        for statement in statements:
            cursor.execute(statement.text, statement.params)
        if not statements:
            return 0
        transaction.on_commit(hints.wake)
        return len(statements[1].params[0])
