"""Amounts of money and credits, and percentages of them."""

import re
from decimal import Decimal
from typing import Any

from config import money
from config.money import MAX_AMOUNT, NANO
from paywalls.errors import InvalidSetting

MAX_MARKUP_PERCENT = 10_000
_PERCENT = re.compile(r"\d{1,5}(\.\d{1,4})?", re.ASCII)
_PERCENT_MESSAGE = (
    f'must be a decimal string from "0" to "{MAX_MARKUP_PERCENT}", at most 4 decimals, as in "12.5"'
)


def amount(nano: int) -> int:
    """Nano-dollars from 0 to the most that one price may be."""
    if isinstance(nano, bool) or not isinstance(nano, int):
        raise InvalidSetting("must be a whole number of nano-dollars")
    if not 0 <= nano <= MAX_AMOUNT:
        raise InvalidSetting(f"must be from 0 to {MAX_AMOUNT // NANO} US dollars")
    return nano


def dollars(text: Any) -> int:
    """The nano-dollars of a decimal string such as "12.50"."""
    try:
        return money.parse(text)
    except money.InvalidAmount as error:
        raise InvalidSetting(str(error)) from None


def parse_percent(text: str) -> Decimal:
    """The percentage in a decimal string such as "20" or "12.5"."""
    if not _PERCENT.fullmatch(text):
        raise InvalidSetting(_PERCENT_MESSAGE)
    return percent(Decimal(text))


def percent(value: Decimal) -> Decimal:
    """A markup: 0 to 10,000 percent with at most 4 decimals."""
    if not value.is_finite() or not 0 <= value <= MAX_MARKUP_PERCENT or value != round(value, 4):
        raise InvalidSetting(_PERCENT_MESSAGE)
    return value


def credit_rate(count: int) -> int:
    """How many credits a US dollar buys."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= NANO:
        raise InvalidSetting(f"must be a whole number from 1 to {NANO}")
    return count
