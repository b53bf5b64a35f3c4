"""Idempotency keys of the REST API: the first answer that a key got is the answer of every retry.

The answer is written in the transaction of what it answers, so neither is ever there without the other; a request that
is refused writes none and claims nothing. A key in flight is an advisory lock of that transaction: it needs no row, and
a process that dies leaves nothing behind. An answer is kept for `KEPT`. After that the key still can't move money
twice, because it is also the `source` of its transfer, which is unique for ever.
"""

import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from config import ids
from config.errors import ApiError, Conflict, Unprocessable
from ledger.errors import Refusal
from ledger.models import IdempotencyKey

KEPT = timedelta(hours=48)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class InvalidIdempotencyKey(ApiError):
    code = "invalid_idempotency_key"
    param = "Idempotency-Key"


class IdempotencyKeyReused(Unprocessable):
    code = "idempotency_key_reused"
    param = "Idempotency-Key"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another request. Send the same body again, or a new key."
        )


class IdempotencyKeyInFlight(Conflict):
    code = "idempotency_key_in_flight"
    param = "Idempotency-Key"

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is under way. Send the same request again for its answer.",
            headers={"Retry-After": "1"},
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered; `replayed` where an earlier one got it."""

    body: dict[str, Any]
    status: int = 200
    replayed: bool = False


def once(
    endpoint: str,
    paywall_id: uuid.UUID,
    key: str | None,
    asked: dict[str, Any],
    effect: Callable[[str], Answer],
) -> Answer:
    """The answer of `effect(source)`, or the one that this key got before. Without a key each request is its own.

    `asked` is what the answer depends on. A Refusal that the effect raises is raised here, and claims nothing. Keys are
    a paywall's own, and an endpoint's. Raises InvalidIdempotencyKey, IdempotencyKeyReused, IdempotencyKeyInFlight.
    """
    if key is None:
        return effect(f"{endpoint}:{ids.new().hex}")
    if not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey("Idempotency-Key: must be 1 to 255 visible ASCII characters.")
    digest = hashlib.sha256(key.encode()).hexdigest()
    canonical = orjson.dumps({"endpoint": endpoint, **asked}, option=orjson.OPT_SORT_KEYS)
    fingerprint = hashlib.sha256(canonical).hexdigest()
    name = {"paywall_id": paywall_id, "endpoint": endpoint, "digest": digest}
    with transaction.atomic():
        _lock(f"{endpoint}:{paywall_id.hex}:{digest}")
        if known := IdempotencyKey.objects.filter(**name).first():
            if known.fingerprint != fingerprint:
                raise IdempotencyKeyReused
            return Answer(known.body, known.status, replayed=True)
        refusal: Refusal | None = None
        try:
            answer = effect(f"{endpoint}:{paywall_id.hex}:{digest}")
            IdempotencyKey.objects.create(
                **name, fingerprint=fingerprint, status=answer.status, body=answer.body
            )
        except Refusal as error:
            # Raised past the transaction, which must commit what the refusal told (its events).
            refusal = error
    if refusal is not None:
        raise refusal
    return answer


def forget_old() -> int:
    """Remove the answers that are older than `KEPT`; the number of them."""
    removed, _ = IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    return removed


def _lock(name: str) -> None:
    """Take the key for this transaction. Raises IdempotencyKeyInFlight where another one has it."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        [(taken,)] = cursor.fetchall()
    if not taken:
        raise IdempotencyKeyInFlight
