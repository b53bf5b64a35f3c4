"""Idempotency-Key on requests to models: whatever a client repeats, it is charged once.

The key is claimed with the hold, in the hold's transaction, so that a request without one pays nothing for it. A
request that charged nothing frees its key. After a finished one the same request is answered again where the paywall
keeps plain answers, and else told what became of it.
"""

import hashlib
import re
import uuid

import orjson

from config import ids, secrets
from config.db import in_thread
from config.errors import ApiError, Conflict
from ledger import book
from ledger.errors import KeyTaken
from ledger.idempotency import (
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
)
from ledger.models import RequestKey
from ledger.operations import Claim
from paywalls.users import UserRef
from proxy.http import Request
from proxy.snapshot import PaywallSnapshot
from proxy.surfaces import ModelRequest

HEADER = "idempotency-key"
REPLAY_HEADERS = {"content-type": "application/json", "idempotent-replayed": "true"}

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class RequestCompleted(Conflict):
    """The request with this key was answered and charged, and its answer was not kept."""

    code = "idempotency_key_completed"
    param = "Idempotency-Key"

    def __init__(self, request_id: uuid.UUID) -> None:
        super().__init__(
            f"The request with this Idempotency-Key is done and was charged as {ids.public('request', request_id)}; "
            "its answer was not kept. Send a new key to ask again.",
            headers={"x-should-retry": "false"},
        )


class RequestLost(Conflict):
    """Nobody knows whether the request with this key was answered."""

    code = "idempotency_key_lost"
    param = "Idempotency-Key"

    def __init__(self, request_id: uuid.UUID) -> None:
        super().__init__(
            f"What became of the request with this Idempotency-Key, {ids.public('request', request_id)}, is not known, "
            "and it may still be charged. Send a new key to ask again.",
            headers={"x-should-retry": "false"},
        )


def claim_of(request: Request, asked: ModelRequest, user: UserRef) -> Claim | None:
    """The request's claim on its key, None where it has none. Raises InvalidIdempotencyKey."""
    key = request.header(HEADER)
    if not key:
        return None
    if not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey("Idempotency-Key: must be 1 to 255 visible ASCII characters.")
    what = orjson.dumps([asked.surface.name, asked.body], option=orjson.OPT_SORT_KEYS)
    return Claim(
        user.paywall_id,
        user.external_id,
        hashlib.sha256(key.encode()).hexdigest(),
        hashlib.sha256(what).hexdigest(),
    )


async def answer_of(taken: KeyTaken, snapshot: PaywallSnapshot) -> bytes | ApiError:
    """What a request gets whose key an earlier one has: that one's answer, or why not."""
    if not taken.same:
        return IdempotencyKeyReused()
    if taken.state == book.OPEN:
        return IdempotencyKeyInFlight()
    if taken.state == book.EXPIRED:
        return RequestLost(taken.request_id)
    kept = await in_thread(_kept, taken.request_id) if snapshot.replays else ""
    return secrets.decrypt(kept).encode() if kept else RequestCompleted(taken.request_id)


def _kept(request_id: uuid.UUID) -> str:
    return RequestKey.objects.filter(pk=request_id).values_list("answer", flat=True).first() or ""
