"""One attempt: the request that goes out, and what came of it. No database here."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson
import requests
from django.conf import settings

from config import ids
from webhooks import http, signing
from webhooks.claims import Claim
from webhooks.deadline import Deadline
from webhooks.drafts import stamp

log = logging.getLogger("tollgate.webhooks")

# Of an answer this much is kept.
MAX_RESPONSE_BYTES = 16 * 1024
CONNECT_SECONDS = 5.0
MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt; without a status there was no answer. `retry_after` in seconds."""

    status: int | None
    milliseconds: int
    body: str = ""
    error: str = ""
    retry_after: float | None = None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def body_of(claim: Claim) -> bytes:
    """The body of this attempt: the event's own bytes, and the delivery around them."""
    delivery = {
        "id": ids.public("delivery", claim.delivery_id),
        "subscriptionId": ids.public("subscription", claim.subscription_id),
        "attempts": claim.attempts,
        "createdAt": stamp(claim.created_at),
        "updatedAt": stamp(claim.claimed_at),
    }
    return orjson.dumps({"delivery": delivery, "event": orjson.Fragment(claim.event_body)})


def headers_of(claim: Claim, body: bytes) -> dict[str, str]:
    """The subscription's own headers, then ours, which they can't replace."""
    event = f"{claim.type}@{claim.version}"
    signed = signing.headers(
        claim.secrets(), ids.public("event", claim.event_id), event, body, datetime.now(UTC)
    )
    return {
        **claim.custom_headers,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **signed,
    }


def send(claim: Claim) -> Result:
    """Send one attempt; whatever goes wrong is a Result."""
    started = time.monotonic()
    try:
        return _exchange(claim, started)
    except Exception as error:
        # A fault of ours (such as a secret that no key reads) must not stop the other deliveries.
        log.exception("delivery %s could not be sent", ids.public("delivery", claim.delivery_id))
        return Result(None, _since(started), error=_clean(f"not sent: {type(error).__name__}: {error}"))


def _exchange(claim: Claim, started: float) -> Result:
    body = body_of(claim)
    headers = headers_of(claim, body)
    seconds = settings.WEBHOOK_TIMEOUT_SECONDS
    with http.session() as session, Deadline(seconds) as deadline:
        try:
            answer = session.post(
                claim.url,
                data=body,
                headers=headers,
                stream=True,
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
            )
        except (requests.RequestException, OSError) as error:
            told = f"no answer within {seconds:g} seconds" if deadline.passed else _reason(error)
            return Result(None, _since(started), error=_clean(told))
        with answer:
            text = _read(answer)
        fault = "" if 200 <= answer.status_code < 300 else f"HTTP {answer.status_code}"
        return Result(answer.status_code, _since(started), text, fault, _retry_after(answer.headers))


def _read(answer: requests.Response) -> str:
    """The start of an answer. One that breaks off, or is cut by the deadline, has answered all the same."""
    read = b""
    try:
        while len(read) < MAX_RESPONSE_BYTES:
            part = answer.raw.read1(MAX_RESPONSE_BYTES - len(read))
            if not part:
                break
            read += part
    except Exception as error:
        log.debug("an answer broke off: %s", error)
    return _clean(read[:MAX_RESPONSE_BYTES].decode("utf-8", "replace"), MAX_RESPONSE_BYTES)


def _clean(text: str, limit: int = MAX_ERROR) -> str:
    """What PostgreSQL can store: no NUL."""
    return text.replace("\0", "")[:limit]


def _reason(error: Exception) -> str:
    if isinstance(error, http.ForbiddenAddress):
        return str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS failed: {error}"
    if isinstance(error, requests.Timeout):
        return "no connection or answer in time"
    return f"connection failed: {error}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the endpoint asks for; None where it doesn't, or in words that can't be read."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1_000)
