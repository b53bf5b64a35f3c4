"""Idempotency keys of the REST API: the same key is the same cause, so it can't move money twice.

A key becomes the transfer's `source`, which is unique for ever, and what was asked becomes a fingerprint in
the transfer's metadata. There is no table of keys: the key, the fingerprint and the money are one row.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from config import ids
from config.errors import ApiError, Unprocessable

# The member of a transfer's metadata that is ours; an app can't set it.
RESERVED_MEMBER = "_fingerprint"

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


@dataclass(frozen=True, slots=True)
class Cause:
    """Why money moves: a transfer's `source`, and the fingerprint of what was asked (None without a key)."""

    source: str
    fingerprint: str | None

    def stamp(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The app's metadata with our own member."""
        return {**metadata, RESERVED_MEMBER: self.fingerprint} if self.fingerprint else metadata

    def check_same(self, recorded: dict[str, Any]) -> None:
        """Raises IdempotencyKeyReused where the recorded transfer answers another request than this one."""
        if self.fingerprint and recorded.get(RESERVED_MEMBER) != self.fingerprint:
            raise IdempotencyKeyReused


def cause(endpoint: str, paywall_id: uuid.UUID, key: str | None, asked: dict[str, Any]) -> Cause:
    """The cause of a request; without a key each request is its own. `asked` is what the answer depends on.

    Keys are the paywall's own: two paywalls may use the same one. Raises InvalidIdempotencyKey.
    """
    if key is None:
        return Cause(f"{endpoint}:{ids.new().hex}", None)
    if not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey("Idempotency-Key: must be 1 to 255 visible ASCII characters.")
    digest = hashlib.sha256(key.encode()).hexdigest()
    canonical = orjson.dumps({"endpoint": endpoint, **asked}, option=orjson.OPT_SORT_KEYS)
    return Cause(f"{endpoint}:{paywall_id.hex}:{digest}", hashlib.sha256(canonical).hexdigest())
