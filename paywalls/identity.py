"""Who the end user is: where a request names one, and which ids are accepted. Pure; both edges use it."""

import re
from collections.abc import Iterable

from config.errors import ApiError
from paywalls.models.enduser import MAX_EXTERNAL_ID

# In order of precedence; the second is an alias of the first. ASGI writes header names in lower case.
USER_HEADERS = ("x-paywall-user", "x-openstack-user")

# Control characters and lone surrogates, which PostgreSQL can't store or logs can't show, and U+FFFD, which a
# decoder leaves of bytes it couldn't read: two broken ids must not become one wallet.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


class MissingUser(ApiError):
    """The request names no end user; nothing may be forwarded or charged."""

    code = "missing_user"
    param = "user"

    def __init__(self) -> None:
        super().__init__("user: name the end user in the request's `user`, or in the header X-Paywall-User.")


class InvalidUser(ApiError):
    """The id of an end user that can't be one; the message says what to change."""

    code = "invalid_user"
    param = "user"


def check_external_id(value: object, name: str = "user") -> str:
    """The id as given, opaque and unchanged; `name` is what the request calls it.

    Raises InvalidUser unless it is a string of 1 to 128 characters without control characters.
    """
    if not isinstance(value, str):
        raise InvalidUser(f"{name}: must be a string.")
    if not value:
        raise InvalidUser(f"{name}: must not be empty.")
    if len(value) > MAX_EXTERNAL_ID:
        raise InvalidUser(
            f"{name}: must be at most {MAX_EXTERNAL_ID} characters (this one has {len(value)})."
        )
    if _UNUSABLE.search(value):
        raise InvalidUser(f"{name}: must not contain control or undecodable characters.")
    return value


def resolve(explicit: object, headers: Iterable[bytes | None], url: str | None = None) -> str:
    """The end user of a request: its body or query `user` beats the headers (in order), which beat the URL.

    None means "not named there"; an id that is named and unusable is refused rather than passed over, so that
    a slip never charges somebody else. Header bytes are UTF-8. Raises InvalidUser or MissingUser.
    """
    if explicit is not None:
        return check_external_id(explicit)
    for raw in headers:
        if raw is not None:
            return check_external_id(raw.decode("utf-8", "replace"))
    if url is not None:
        return check_external_id(url)
    raise MissingUser
