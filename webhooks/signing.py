"""Signatures: ours and those of Standard Webhooks, with the same secret.

While a rotation is fresh both secrets sign: Standard Webhooks has a list for that, ours a second header.
"""

import base64
import binascii
import hashlib
import hmac
import secrets as random
from collections.abc import Sequence
from datetime import datetime

from webhooks.drafts import stamp

PREFIX = "whsec_"
_RANDOM_BYTES = 32


def generate() -> str:
    """A new secret: `whsec_` and 256 random bits in base64, as Standard Webhooks has it."""
    return PREFIX + base64.b64encode(random.token_bytes(_RANDOM_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key that Standard Webhooks signs with: what stands behind `whsec_`; another secret's own bytes.

    Raises ValueError where what is behind `whsec_` is no base64.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {PREFIX} must be base64") from None


def headers(
    secrets: Sequence[str], event_id: str, event: str, body: bytes, moment: datetime
) -> dict[str, str]:
    """The headers of one delivery; `secrets` has the current one first, `event` is `type@version`."""
    seconds = str(int(moment.timestamp()))
    content = f"{event_id}.{seconds}.".encode() + body
    standard = [
        "v1," + base64.b64encode(hmac.digest(key_of(secret), content, "sha256")).decode()
        for secret in secrets
    ]
    ours = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    return {
        "X-Paywalls-Event": event,
        "X-Paywalls-Timestamp": stamp(moment),
        "X-Paywalls-Signature": ours[0],
        **({"X-Paywalls-Signature-Previous": ours[1]} if ours[1:] else {}),
        "webhook-id": event_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(standard),
    }
