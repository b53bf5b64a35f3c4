"""Decimals at the edges, integers inside.

Money is an integer of nano-dollars (10^-9 USD) everywhere. This module is the one place that turns a decimal
string into nano-dollars and back. It stands below all apps because prices (`paywalls`) need it as much as
balances do.
"""

import re
from decimal import Decimal

NANO = 1_000_000_000

# The most that one amount, price or fee may be: far from the end of a BIGINT, so that sums don't overflow.
MAX_AMOUNT = 1_000_000 * NANO

_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,18})?", re.ASCII)


class InvalidAmount(ValueError):
    """A text that is no amount of money; the message says what to change."""


def parse(text: object, *, zero: bool = False) -> int:
    """Nano-dollars of a decimal string of US dollars, such as "0.25".

    Only plain digits with an optional point are an amount: no sign, exponent, NaN or JSON number (a float
    can't hold money). `zero` allows "0". Raises InvalidAmount with a message that says what to change.
    """
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise InvalidAmount('must be a decimal string of US dollars such as "0.25"')
    nano = Decimal(text) * NANO
    if nano != nano.to_integral_value():
        raise InvalidAmount("must have at most 9 decimals (the smallest unit is 0.000000001 USD)")
    if nano == 0 and not zero:
        raise InvalidAmount("must be greater than 0")
    if nano > MAX_AMOUNT:
        raise InvalidAmount(f"must be at most {MAX_AMOUNT // NANO}")
    return int(nano)


def plain(nano: int) -> str:
    """The exact decimal string of an amount, without trailing zeros: 150_000_000 is "0.15"."""
    sign, nano = ("-" if nano < 0 else ""), abs(nano)
    return f"{sign}{nano // NANO}.{nano % NANO:09d}".rstrip("0").rstrip(".")


def formatted(nano: int) -> str:
    """The exact amount as people read it, with at least cents: "$1,234.50", "-$0.000012"."""
    sign, nano = ("-" if nano < 0 else ""), abs(nano)
    fraction = f"{nano % NANO:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${nano // NANO:,}.{fraction}"
