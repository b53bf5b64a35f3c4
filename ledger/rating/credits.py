"""Credits: how a tenant counts nano-dollars. Exact decimals, both ways."""

from decimal import Context, Decimal

from config.money import MAX_AMOUNT, NANO

# Wide enough for any BIGINT times any rate: nothing is rounded where the rate divides a power of ten.
_EXACT = Context(prec=60)


class InvalidCredits(ValueError):
    """An amount of credits that can't be moved; the message says what to change."""


def of(nano: int, credits_per_usd: int) -> Decimal:
    """Credits of an amount of nano-dollars: credits = nano x rate / 10^9."""
    return _EXACT.divide(Decimal(nano) * credits_per_usd, Decimal(NANO))


def nano(credits: Decimal, credits_per_usd: int) -> int:
    """Nano-dollars of an amount of credits. Raises InvalidCredits where it isn't a whole number of them.

    With a rate that doesn't divide 10^9 the nearest nano-dollar is taken, which is closer than a rate can show.
    """
    amount = _EXACT.divide(credits * NANO, Decimal(credits_per_usd))
    whole = amount.to_integral_value()
    if NANO % credits_per_usd == 0 and whole != amount:
        raise InvalidCredits(f"must be a multiple of {of(1, credits_per_usd):f} credits (a nano-dollar)")
    if not 0 < whole <= MAX_AMOUNT:
        raise InvalidCredits(f"must be above 0 and at most {of(MAX_AMOUNT, credits_per_usd):f} credits")
    return int(whole)
