"""What a request costs: pure arithmetic on integers.

The one rounding of a charge happens here: up, once per request, to a whole nano-dollar. Whether an answer was
streamed makes no difference, because only the token counts come in.
"""

from dataclasses import dataclass, fields

# Token prices are per this many tokens.
PER_TOKENS = 1_000_000
# A markup of 100 % in its own unit.
WHOLE = 1_000_000

_SELLING_DECIMALS = 15  # nano-dollars (9) times millionths (6)


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model. Raises ValueError where a part is negative or no integer.

    `prompt` and `completion` are nano-dollars per million tokens, `request` and `minimum` nano-dollars per
    request. `markup` is in millionths of the price (20 % is 200,000) and is added to all but `minimum`, which
    is final.
    """

    prompt: int
    completion: int
    request: int = 0
    minimum: int = 0
    markup: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))


def charge(price: Price, *, prompt_tokens: int, completion_tokens: int) -> int:
    """Nano-dollars for a request with this usage.

    max(minimum, ceil((prompt tokens x P + completion tokens x C + request x 10^6) x (10^6 + markup) /
    10^12)). Never falls when a count rises. Raises ValueError where a count is negative or no integer.
    """
    return max(price.minimum, _exact(price, prompt_tokens, completion_tokens))


def breakdown(price: Price, *, prompt_tokens: int, completion_tokens: int) -> dict[str, int | bool]:
    """The arithmetic behind `charge` as a ledger row keeps it: counts, unit prices, total (nano-dollars)."""
    total = charge(price, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "prompt_price": price.prompt,
        "completion_price": price.completion,
        "request_price": price.request,
        "minimum_price": price.minimum,
        "markup_millionths": price.markup,
        "minimum_applied": total > _exact(price, prompt_tokens, completion_tokens),
        "total": total,
    }


def selling(price: Price) -> dict[str, str]:
    """What buyers are told, the markup included: exact decimal strings of US dollars.

    `prompt` and `completion` per million tokens, `request` and `minimum` per request.
    """
    factor = WHOLE + price.markup
    return {
        "prompt": _decimal(price.prompt * factor),
        "completion": _decimal(price.completion * factor),
        "request": _decimal(price.request * factor),
        "minimum": _decimal(price.minimum * WHOLE),
    }


def _exact(price: Price, prompt_tokens: int, completion_tokens: int) -> int:
    """The price before the minimum, rounded up."""
    _check("prompt_tokens", prompt_tokens)
    _check("completion_tokens", completion_tokens)
    tokens = prompt_tokens * price.prompt + completion_tokens * price.completion
    return -(-(tokens + price.request * PER_TOKENS) * (WHOLE + price.markup) // (PER_TOKENS * WHOLE))


def _decimal(units: int) -> str:
    """The decimal string of an amount in 10^-15 dollars, without trailing zeros."""
    whole, fraction = divmod(units, 10**_SELLING_DECIMALS)
    return f"{whole}.{fraction:0{_SELLING_DECIMALS}d}".rstrip("0").rstrip(".")


def _check(name: str, value: object) -> None:
    # A bool is an int to Python, and a float can't hold money.
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be an integer that is not negative, not {value!r}")
