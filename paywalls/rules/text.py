"""Texts: names, descriptions, email addresses, secrets."""

import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from paywalls.errors import InvalidSetting
from paywalls.rules.rule import Rule


def _is_control(char: str) -> bool:
    """Control characters, and lone surrogates, which PostgreSQL can't store."""
    return unicodedata.category(char) in {"Cc", "Cs"}


def line(limit: int, *, blank: bool = False) -> Rule:
    """One line of at most `limit` characters, without the blanks around it."""

    def rule(text: str) -> str:
        text = text.strip()
        if not text and not blank:
            raise InvalidSetting("must not be empty")
        if len(text) > limit:
            raise InvalidSetting(f"must have at most {limit} characters (it has {len(text)})")
        if any(map(_is_control, text)):
            raise InvalidSetting("must be one line without control characters")
        return text

    return rule


def prose(limit: int) -> Rule:
    """A text of several lines and at most `limit` characters; it may be empty."""

    def rule(text: str) -> str:
        text = text.strip().replace("\r\n", "\n")
        if len(text) > limit:
            raise InvalidSetting(f"must have at most {limit} characters (it has {len(text)})")
        if any(_is_control(char) and char not in "\n\t" for char in text):
            raise InvalidSetting("must not hold control characters other than line breaks and tabs")
        return text

    return rule


def email(text: str) -> str:
    """An email address, in lower case: it is what a tenant is found by."""
    text = text.strip().lower()
    try:
        validate_email(text)
    except ValidationError:
        raise InvalidSetting('must be an email address such as "ops@acme.test"') from None
    if len(text) > 254:
        raise InvalidSetting("must have at most 254 characters")
    return text


def secret(text: str) -> str:
    """A provider's key as it goes into an HTTP header: visible ASCII. Empty is no key."""
    text = text.strip()
    if len(text) > 4_096:
        raise InvalidSetting("must have at most 4096 characters")
    if not all("!" <= char <= "~" for char in text):
        raise InvalidSetting("must hold only visible ASCII characters (it is sent in an HTTP header)")
    return text
