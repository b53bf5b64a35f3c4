"""The rules of each member of a subscription. Each answers the value as it is stored, or raises InvalidSubscription."""

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from webhooks import addresses, catalogue, signing
from webhooks.errors import InvalidSubscription
from webhooks.models.subscription import MAX_DESCRIPTION, MAX_URL

MAX_CUSTOM_HEADERS = 10
MAX_HEADER_VALUE = 1_024
MIN_SECRET = 16
MAX_SECRET = 256

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\x9f\\]")

# One connection's own business (RFC 9110, 7.6.1), or what the client sets.
_HOP_BY_HOP = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
}
_OURS = ("x-paywalls-", "webhook-")


def url(value: Any) -> str:
    """An HTTPS address on the public internet; others where the operator allows their network."""
    if not isinstance(value, str) or not value:
        raise InvalidSubscription("url", "must be an address such as https://example.com/hooks")
    if len(value) > MAX_URL:
        raise InvalidSubscription("url", f"must be at most {MAX_URL} characters")
    if _NOT_IN_URLS.search(value):
        raise InvalidSubscription("url", "must not contain spaces, control characters or backslashes")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidSubscription("url", f"is no address: {error}") from None
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidSubscription("url", "must begin with https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise InvalidSubscription("url", "must not hold a user name or password; send them in customHeaders")
    if parts.fragment:
        raise InvalidSubscription("url", "must not have a fragment (#…), which is never sent")
    _check_host(parts.scheme, host)
    return value


def _check_host(scheme: str, host: str) -> None:
    """What an address that is spelled out says already; a name is looked up, and judged, at each delivery."""
    address = addresses.literal(host)
    if scheme == "http" and (
        not settings.WEBHOOK_ALLOWED_NETWORKS or (address and not addresses.is_allow_listed(address))
    ):
        raise InvalidSubscription(
            "url",
            "must begin with https:// (plain http is for networks in the operator's WEBHOOK_ALLOWED_NETWORKS)",
        )
    if address and not addresses.may_receive(address, scheme):
        raise InvalidSubscription("url", "must lead to a public address")
    if host.rstrip(".").endswith("localhost") and not settings.WEBHOOK_ALLOWED_NETWORKS:
        raise InvalidSubscription("url", "must lead to a public address")


def events(value: Any) -> list[str]:
    """Event keys, prefixes such as `paywall.balance.*`, or ["*"] alone."""
    if not isinstance(value, list) or not value:
        raise InvalidSubscription(
            "events", 'must be a list of event keys, such as ["paywall.balance.*"] or ["*"]'
        )
    if not all(isinstance(item, str) for item in value):
        raise InvalidSubscription("events", "must be a list of strings")
    if "*" in value:
        if len(value) > 1:
            raise InvalidSubscription("events", '"*" stands for all events, so it must be alone')
        return value
    for item in value:
        if not catalogue.is_pattern(item):
            raise InvalidSubscription(
                "events",
                f"{item[:128]!r} is no event. GET /v1/webhooks/events lists them; a prefix ends with .*",
            )
    return list(dict.fromkeys(value))


def description(value: Any) -> str:
    """A note of the owner's."""
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise InvalidSubscription("description", "must be a string without NUL characters")
    if len(value) > MAX_DESCRIPTION:
        raise InvalidSubscription("description", f"must be at most {MAX_DESCRIPTION} characters")
    return value


def custom_headers(value: Any) -> dict[str, str]:
    """Headers that go with every delivery."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidSubscription("customHeaders", "must be an object of strings")
    if len(value) > MAX_CUSTOM_HEADERS:
        raise InvalidSubscription("customHeaders", f"must be at most {MAX_CUSTOM_HEADERS} headers")
    if len({name.lower() for name in value}) < len(value):
        raise InvalidSubscription("customHeaders", "must not name a header twice")
    for name, text in value.items():
        _check_header(name, text)
    return value


def _check_header(name: str, text: Any) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise InvalidSubscription("customHeaders", f"{name[:100]!r} is no header name")
    if name.lower() in _HOP_BY_HOP:
        raise InvalidSubscription("customHeaders", f"{name} belongs to the connection; it can't be set")
    if name.lower().startswith(_OURS):
        raise InvalidSubscription("customHeaders", f"{name} is set by the delivery itself")
    if not isinstance(text, str) or len(text) > MAX_HEADER_VALUE or not _HEADER_VALUE.fullmatch(text):
        raise InvalidSubscription(
            "customHeaders", f"{name} must be 1 to {MAX_HEADER_VALUE} printable ASCII characters"
        )


def secret(value: Any) -> str:
    """A secret of the owner's; None makes one."""
    if value is None:
        return signing.generate()
    if not isinstance(value, str) or not MIN_SECRET <= len(value) <= MAX_SECRET:
        raise InvalidSubscription("secret", f"must be {MIN_SECRET} to {MAX_SECRET} characters")
    if not value.isascii() or not value.isprintable():
        raise InvalidSubscription("secret", "must be printable ASCII characters")
    try:
        signing.key_of(value)
    except ValueError as error:
        raise InvalidSubscription("secret", str(error)) from None
    return value


def is_active(value: Any) -> bool:
    """Whether deliveries are made."""
    if not isinstance(value, bool):
        raise InvalidSubscription("isActive", "must be true or false")
    return value
