"""Addresses on the web: of providers, and of pictures."""

import re
from urllib.parse import urlsplit

from paywalls.errors import InvalidSetting
from paywalls.models.catalogue import SANDBOX_URL

_URL_MESSAGE = f'must be "{SANDBOX_URL}", or an address such as "https://api.openai.com/v1"'


def base_url(text: str) -> str:
    """Where a provider is: the built-in sandbox or an http(s) address, without a slash at its end.

    Paths are appended to it and a key is sent along: it has no query, fragment or credentials of its own.
    """
    text = text.strip()
    if text == SANDBOX_URL:
        return text
    if len(text) > 500:
        raise InvalidSetting("must have at most 500 characters")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise InvalidSetting(f"{_URL_MESSAGE} (no blanks or special characters)")
    try:
        parts = urlsplit(text)
        hostname, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidSetting(f"{_URL_MESSAGE} (its host or port can't be read)") from None
    if parts.scheme not in {"http", "https"} or not hostname:
        raise InvalidSetting(_URL_MESSAGE)
    if "@" in parts.netloc:
        raise InvalidSetting("must hold no credentials; put the provider's key into api_key")
    if "?" in text or "#" in text:
        raise InvalidSetting("must end with its path: no '?' query and no '#' fragment")
    return text.rstrip("/")


def icon_url(text: str) -> str:
    """An https address of a picture, or none. It goes into a page's Content-Security-Policy."""
    text = text.strip()
    if text and not re.fullmatch(r"https://[A-Za-z0-9.-]+(:\d{1,5})?(/[!-:<=>-~]*)?", text):
        raise InvalidSetting('must be an https address of a picture, such as "https://acme.test/icon.png"')
    if len(text) > 2_048:
        raise InvalidSetting("must have at most 2048 characters")
    return text
