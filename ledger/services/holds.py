"""Holds: placed, captured, released, settled late, swept."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection

from ledger.errors import HoldNotOpen, Refusal
from ledger.models import Hold, Transfer
from ledger.operations import Capture, Operation, PlaceHold, Release, RequestEvent, Resolved, Sweep
from ledger.posting import post, post_one
from ledger.requests import RequestFacts
from ledger.windows import NO_LIMITS, Limits
from paywalls.users import UserRef

# Stale holds taken in one transaction.
SWEEP_BATCH = 500


def hold(
    user: UserRef, amount: int, *, hold_id: uuid.UUID, seconds: float, limits: Limits = NO_LIMITS
) -> None:
    """Reserve `amount` for something that an app does itself. The same `hold_id` holds once.

    Raises InsufficientFunds, SpendLimitReached, UnknownPaywall, or HoldNotOpen where it was resolved before.
    """
    post_one(PlaceHold(user, hold_id, amount, seconds, limits=limits, kind=Hold.Kind.APP))


def capture(held: Hold, amount: int, *, metadata: dict[str, Any] | None = None) -> Resolved:
    """Charge `amount` of an app's hold and free the rest; zero charges nothing.

    Raises HoldNotOpen where the hold is no longer open, but for a capture of the same amount, which is answered again.
    """
    if held.state in (Hold.State.EXPIRED, Hold.State.RELEASED):
        raise HoldNotOpen(held.pk, held.state)
    kind, source = Transfer.Kind.CHARGE, f"hold:{held.pk.hex}"
    done = post_one(Capture(held.account_id, held.pk, amount, source, metadata or {}, kind=kind))
    assert isinstance(done, Resolved)
    if done.captured != amount:
        raise HoldNotOpen(held.pk, Hold.State.CAPTURED)
    return done


def release(held: Hold) -> Resolved:
    """Free an app's hold; again changes nothing. Raises HoldNotOpen where it was captured."""
    done = post_one(Release(held.account_id, held.pk))
    assert isinstance(done, Resolved)
    return done


def settle(
    wallet: uuid.UUID,
    hold_id: uuid.UUID,
    amount: int,
    *,
    metadata: dict[str, Any] | None = None,
    events: Sequence[RequestEvent] = (),
    request: RequestFacts | None = None,
    answer: str = "",
) -> Resolved:
    """Charge a request of the gateway whose settlement comes late: its hold may have expired by now.

    `answer` (encrypted) is kept for a retry, as Capture has it.

    Once: what was settled before is answered again. Raises HoldNotOpen where it was released.
    """
    source, told = f"usage:{hold_id.hex}", tuple(events)
    done = post_one(
        Capture(wallet, hold_id, amount, source, metadata or {}, told, request=request, answer=answer)
    )
    assert isinstance(done, Resolved)
    return done


def sweep_stale_holds(limit: int = SWEEP_BATCH) -> int:
    """Expire holds past their deadline, whose process died; the number of holds expired.

    Safe beside everything: the hold is looked at again under its wallet's lock, and who resolved it first wins. A
    request of the gateway becomes a reconciliation item in the same transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT account_id, id FROM ledger_hold
            WHERE state = 'open' AND expires_at <= statement_timestamp() ORDER BY expires_at LIMIT %s
            """,
            [limit],
        )
        stale: list[tuple[uuid.UUID, uuid.UUID]] = cursor.fetchall()
    sweeps: Sequence[Operation] = [Sweep(account_id, hold_id) for account_id, hold_id in stale]
    outcomes = post(sweeps) if sweeps else []
    for outcome in outcomes:
        if isinstance(outcome, Refusal) and not isinstance(outcome, HoldNotOpen):
            raise outcome
    return sum(not isinstance(outcome, Refusal) for outcome in outcomes)
