"""Tokens of links: a row's key and a MAC over it. They are unguessable, and a copy of the table opens no page."""

import base64
import uuid

from django.utils.crypto import constant_time_compare, salted_hmac

_MAC_BYTES = 16


def token_of(purpose: str, key: uuid.UUID) -> str:
    """What a link ends with: the key and 128 bits of HMAC-SHA256 over it, 43 characters of base64."""
    mac = salted_hmac(purpose, key.bytes, algorithm="sha256").digest()[:_MAC_BYTES]
    return base64.urlsafe_b64encode(key.bytes + mac).rstrip(b"=").decode()


def key_of(purpose: str, token: str) -> uuid.UUID:
    """The key behind a token. Raises ValueError where it is none of ours, or another purpose's."""
    claimed = uuid.UUID(bytes=base64.urlsafe_b64decode(f"{token}=")[:16])
    # Compared as text: base64 has spare bits at its end, so that altered tokens can decode to the same bytes.
    if not constant_time_compare(token, token_of(purpose, claimed)):
        raise ValueError("not a token of ours")
    return claimed
