"""What the owner of a paywall is told about a request on its way.

The events of a request that goes to a provider ride in the transactions of its hold and its settlement, so they cost no
transaction of their own; where nobody wants them (the snapshot knows) they cost nothing at all. A request that is
refused without a hold writes its events by itself, and the refusal doesn't depend on them.
"""

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import Error

from config import ids
from config.db import in_thread
from ledger import events as ledger_events
from ledger.operations import RequestEvent
from paywalls.models import EndUser
from paywalls.users import UserRef
from proxy.meter import Ending, Meter
from proxy.snapshot import PaywallSnapshot
from webhooks import drafts, outbox
from webhooks.drafts import Draft

log = logging.getLogger("tollgate.gateway")

STARTED = "paywall.proxy.request.started"
COMPLETED = "paywall.proxy.request.completed"
FAILED = "paywall.proxy.request.failed"
CANCELED = "paywall.proxy.request.canceled"
ROUTE_BLOCKED = "paywall.proxy.request.blocked"
BLOCKED = "paywall.request.blocked"
DEPLETED = "paywall.balance.depleted"
DEFERRED = "paywall.usage.charge.deferred"
RATE_LIMITED = "paywall.usage.rate.limited"
CHARGED = "paywall.usage.charge.created"


def started(snapshot: PaywallSnapshot, request_id: uuid.UUID, model: str) -> tuple[RequestEvent, ...]:
    """The request goes to its provider once the hold stands."""
    return _if_wanted(snapshot, STARTED, request_id, {"model": model})


def ended(
    snapshot: PaywallSnapshot, request_id: uuid.UUID, model: str, meter: Meter | None
) -> tuple[RequestEvent, ...]:
    """How the request ended; without a meter its client left before it was forwarded."""
    if meter is None or meter.ending is Ending.CLIENT_LEFT:
        return _if_wanted(snapshot, CANCELED, request_id, {"model": model})
    if code := meter.error_code or ("provider_died" if meter.ending is Ending.UPSTREAM_DIED else ""):
        return _if_wanted(snapshot, FAILED, request_id, {"model": model, "errorCode": code})
    return _if_wanted(snapshot, COMPLETED, request_id, {"model": model})


def _if_wanted(
    snapshot: PaywallSnapshot, type: str, request_id: uuid.UUID, data: Mapping[str, Any]
) -> tuple[RequestEvent, ...]:
    told = {"requestId": ids.public("request", request_id), **data}
    return (RequestEvent(type, request_id, told),) if type in snapshot.wanted_events else ()


# --- Requests without a hold: written in a transaction of their own ---------------------------------------


async def blocked(
    snapshot: PaywallSnapshot,
    user: UserRef,
    request_id: uuid.UUID,
    reason: str,
    *,
    required: int | None = None,
    available: int | None = None,
) -> None:
    """The paywall answered instead of a provider; amounts (nano-dollars) where the balance is the reason."""
    told: list[tuple[str, dict[str, Any]]] = [
        (BLOCKED, {"reason": reason, "requestId": ids.public("request", request_id)})
    ]
    if required is not None and available is not None:
        told.append((DEPLETED, {"required": required, "available": available}))
    await _tell(snapshot, user, request_id, told)


async def route_blocked(snapshot: PaywallSnapshot, user: UserRef, request_id: uuid.UUID, reason: str) -> None:
    """The request was refused while it was routed, such as for a model that isn't sold."""
    data = {"requestId": ids.public("request", request_id), "reason": reason}
    await _tell(snapshot, user, request_id, [(ROUTE_BLOCKED, data)])


async def rate_limited(
    snapshot: PaywallSnapshot, user: UserRef, request_id: uuid.UUID, limit: int, model: str | None
) -> None:
    """A limit refused the request."""
    data = {"limit": limit, "date": datetime.now(UTC).date().isoformat(), "model": model}
    await _tell(snapshot, user, request_id, [(RATE_LIMITED, data)])


async def deferred(snapshot: PaywallSnapshot, user: UserRef, request_id: uuid.UUID, model: str) -> None:
    """The charge could not be written in time and waits."""
    data = {"deferredRequestId": ids.public("request", request_id), "model": model}
    await _tell(snapshot, user, request_id, [(DEFERRED, data)])


async def _tell(
    snapshot: PaywallSnapshot,
    user: UserRef,
    request_id: uuid.UUID,
    told: list[tuple[str, dict[str, Any]]],
) -> None:
    wanted = [(type, data) for type, data in told if type in snapshot.wanted_events]
    if not wanted:
        return
    try:
        await in_thread(_emit, user, request_id, wanted)
    except Error:
        log.exception("events of %s could not be written", ids.public("request", request_id))


def _emit(user: UserRef, request_id: uuid.UUID, told: list[tuple[str, dict[str, Any]]]) -> None:
    row = EndUser.objects.filter(paywall_id=user.paywall_id, external_id=user.external_id).first()
    user_id = row.public_id if row else None
    told_drafts = (_draft(type, data, request_id, user_id, user.external_id) for type, data in told)
    outbox.emit(user.paywall_id, *told_drafts)


def _draft(
    type: str, data: dict[str, Any], request_id: uuid.UUID, user_id: str | None, external_id: str
) -> Draft:
    if type == DEPLETED:
        return ledger_events.depleted(
            user_id or "", external_id, data["required"], data["available"], drafts.GATEWAY
        )
    if type == DEFERRED:
        subject = drafts.Subject("request", ids.public("request", request_id), external_id)
        return Draft(type, data, subject, drafts.GATEWAY)
    return ledger_events.request_draft(RequestEvent(type, request_id, data), user_id, external_id)
