"""Money as people read and type it on the hosted pages, in the page's language."""

import re
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from config import money

# A comma that could be a thousands separator decides nothing: "1,000" is refused rather than guessed.
_DECIMAL_COMMA = re.compile(r"(\d+),(\d{1,2})", re.ASCII)


def shown(nano: int) -> str:
    """The exact amount with at least cents: "$1,234.50", in German "1.234,50 $"."""
    return _written(nano, at_least=2)


def short(nano: int) -> str:
    """As `shown`, but whole dollars without cents: "$5", "$12.50"."""
    return _written(nano, at_least=0 if nano % money.NANO == 0 else 2)


def _written(nano: int, at_least: int) -> str:
    text = dollars(money.plain(abs(nano)), at_least)
    return f"-{text}" if nano < 0 else text


def dollars(plain: str, at_least: int = 2) -> str:
    """The same of a decimal string, which may be finer than nano-dollars; `at_least` is of decimals."""
    decimals = max(at_least, len(plain.partition(".")[2]))
    number = number_format(Decimal(plain), decimals, use_l10n=True, force_grouping=True)
    # Translators: an amount of US dollars, such as $1,234.50
    return _("$%(amount)s") % {"amount": number}


def typed(text: str, *, zero: bool = False) -> int:
    """Nano-dollars of what somebody typed, with a point or a comma before the cents. Raises money.InvalidAmount."""
    text = text.strip().removeprefix("$").removesuffix("$").strip()
    if found := _DECIMAL_COMMA.fullmatch(text):
        text = f"{found[1]}.{found[2]}"
    return money.parse(text, zero=zero)
