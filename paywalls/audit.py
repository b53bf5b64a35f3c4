"""Who writes, for the audit log.

The log is written by triggers on every audited table, so that no view can forget it. They need to know who acts:
`begin` tells the database connection, `end` takes it back, and without an actor (the gateway, the worker) the
triggers do nothing at all. Secrets are masked by the trigger, by their columns' names.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connection

from paywalls.models import AuditEntry


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where; `tenant` is theirs, for what belongs to no table of the tenant's."""

    type: AuditEntry.Actor
    name: str
    address: str = ""
    request_id: uuid.UUID | None = None
    tenant: uuid.UUID | None = None


def begin(actor: Actor) -> None:
    """From now on what is written on this connection is the actor's."""
    told = {
        "type": actor.type.value,
        "name": actor.name[:200],
        "address": actor.address[:64],
        "request": str(actor.request_id) if actor.request_id else None,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('tollgate.actor', %s, false), set_config('tollgate.audited', '', false)",
            [json.dumps(told)],
        )


def end() -> bool:
    """Nobody acts on this connection any more; whether anything was logged of who did."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('tollgate.audited', true), set_config('tollgate.actor', '', false)"
            )
            return bool(cursor.fetchone()[0])
    except DatabaseError:
        # A connection that can't be told goes, so that what follows on it is nobody's.
        connection.close()
        return False


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What is written inside is the actor's."""
    begin(actor)
    try:
        yield
    finally:
        end()


def record_request(actor: Actor, method: str, path: str, details: dict[str, Any]) -> None:
    """Log a write that changed no audited table, such as a delivery that is sent again."""
    AuditEntry.objects.create(
        tenant_id=actor.tenant,
        actor_type=actor.type,
        actor=actor.name[:200],
        address=actor.address[:64],
        request_id=actor.request_id,
        action=AuditEntry.Action.REQUEST,
        subject_type=method,
        subject=path[:500],
        after=details or None,
    )
