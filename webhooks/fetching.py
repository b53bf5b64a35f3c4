"""One guarded GET of an address that an operator gave, such as an issuer's keys: as safe as a delivery."""

import requests

from webhooks import http
from webhooks.deadline import Deadline

USER_AGENT = "Tollgate/1"

_PART = 64 * 1024


class FetchFailed(Exception):
    """There was no answer, or not one that can be used; the message says which."""


def fetch(url: str, *, seconds: float, limit: int) -> bytes:
    """The body behind an address, at most `limit` bytes, within `seconds` in all. Blocking. Raises FetchFailed."""
    with http.session(USER_AGENT) as session, Deadline(seconds) as deadline:
        try:
            headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
            with session.get(url, headers=headers, stream=True, timeout=seconds) as answer:
                if answer.status_code != 200:
                    raise FetchFailed(f"it answered HTTP {answer.status_code}")
                return _whole(answer, limit)
        except FetchFailed:
            raise
        except Exception as error:
            if deadline.passed:
                raise FetchFailed(f"no answer within {seconds:g} seconds") from error
            raise FetchFailed(f"{type(error).__name__}: {error}") from error


def _whole(answer: requests.Response, limit: int) -> bytes:
    read = bytearray()
    for part in answer.iter_content(_PART):
        read += part
        if len(read) > limit:
            raise FetchFailed(f"its answer is over {limit:,} bytes")
    return bytes(read)
