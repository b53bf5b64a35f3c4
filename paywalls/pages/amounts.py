"""Amounts that people type."""

from django.utils.translation import gettext as _

from config import localized, money


class InvalidLimit(ValueError):
    """The text is no amount; the message says so to whoever typed it."""


def limit(text: str) -> int | None:
    """Nano-dollars of a limit; None where the field was left empty. Raises InvalidLimit."""
    if not text.strip():
        return None
    try:
        return localized.typed(text, zero=True)
    except money.InvalidAmount:
        raise InvalidLimit(
            _("Enter an amount of US dollars such as 20.00, or leave the field empty.")
        ) from None
