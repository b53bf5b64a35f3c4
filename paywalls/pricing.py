"""What a request costs: pure arithmetic on integers.

The one rounding of a charge happens here: up, once per request, to a whole nano-dollar. Whether an answer was
streamed makes no difference, because only the counts come in. What the operator pays a provider is the same
arithmetic at the provider's own prices. The rules are described in docs/pricing.md.
"""

from dataclasses import dataclass, fields
from typing import Any, Protocol

# Token prices are per this many tokens.
PER_TOKENS = 1_000_000
# A markup of 100 % in its own unit.
WHOLE = 1_000_000
# A model's prices may change at this many sizes of the prompt.
MAX_TIERS = 8

_SELLING_DECIMALS = 15  # nano-dollars (9) times millionths (6)

_MAY_BE_ABSENT = {"cache_read", "cache_write"}


class Used(Protocol):
    """Counts that are known to be integers from 0 on; see `Units`."""

    @property
    def input(self) -> int: ...
    @property
    def cache_read(self) -> int: ...
    @property
    def cache_write(self) -> int: ...
    @property
    def output(self) -> int: ...
    @property
    def images(self) -> int: ...
    @property
    def prompt(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Units:
    """What one request used, in buckets that don't overlap: each token is in one of them.

    `input` are prompt tokens that no cache served; `images` are those that the request sent. Raises ValueError
    where a count is negative or no integer.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    images: int = 0

    def __post_init__(self) -> None:
        # Once for each request and event: without the detour through dataclasses.fields().
        _check("input", self.input)
        _check("cache_read", self.cache_read)
        _check("cache_write", self.cache_write)
        _check("output", self.output)
        _check("images", self.images)

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, from a cache or not: what tiers go by."""
        return self.input + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars per million tokens. A cache price that is absent is the price of the prompt.

    Raises ValueError where a rate is negative or no integer.
    """

    prompt: int
    completion: int
    cache_read: int | None = None
    cache_write: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.name not in _MAY_BE_ABSENT:
                _check(field.name, value)

    @property
    def read(self) -> int:
        """What a prompt token costs that a cache served."""
        return self.prompt if self.cache_read is None else self.cache_read

    @property
    def write(self) -> int:
        """What a prompt token costs that is written to a cache."""
        return self.prompt if self.cache_write is None else self.cache_write

    @property
    def dearest(self) -> int:
        """The most that a prompt token can cost, wherever it comes from."""
        return max(self.prompt, self.read, self.write)


@dataclass(frozen=True, slots=True)
class Tier(Rates):
    """The rates of a whole request whose prompt has more than `above` tokens."""

    above: int = 0


@dataclass(frozen=True, slots=True)
class Price(Rates):
    """The price of a model. Raises ValueError where a part is negative or no integer, or the tiers are in disorder.

    `request` and `minimum` are nano-dollars per request, `image` per image that a request sends. `markup` is in
    millionths of the price (20 % is 200,000) and is added to all but `minimum`, which is final. `tiers` go up.
    """

    request: int = 0
    minimum: int = 0
    image: int = 0
    markup: int = 0
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        for name in ("prompt", "completion", "request", "minimum", "image", "markup"):
            _check(name, getattr(self, name))
        for name in _MAY_BE_ABSENT:
            if (value := getattr(self, name)) is not None:
                _check(name, value)
        starts = [tier.above for tier in self.tiers]
        if starts != sorted({*starts}) or (starts and starts[0] <= 0) or len(starts) > MAX_TIERS:
            raise ValueError(f"tiers must be at most {MAX_TIERS}, each above more tokens than the one before")

    def rates(self, prompt_tokens: int) -> Rates:
        """The rates of a request whose prompt has so many tokens: the highest tier that it exceeds."""
        for tier in reversed(self.tiers):
            if prompt_tokens > tier.above:
                return tier
        return self


def charge(price: Price, units: Used) -> int:
    """Nano-dollars for a request that used this.

    max(minimum, ceil((tokens x their rates + (request + images x image) x 10^6) x (10^6 + markup) / 10^12)).
    Within a tier it never falls when a count rises.
    """
    return max(price.minimum, _exact(price, units))


def worst_case(price: Price, *, prompt_tokens: int, output_tokens: int, images: int = 0) -> int:
    """The most that a request may cost (nano-dollars) whose counts are at most these.

    Nobody knows beforehand what a cache will serve, so that each prompt token counts at its dearest rate; a
    request with fewer tokens may be in a dearer tier, so that every tier within reach counts, each at the largest
    prompt that stays in it.
    """
    _check("prompt_tokens", prompt_tokens)
    _check("output_tokens", output_tokens)
    _check("images", images)
    rates: Rates = price
    tokens = 0
    for tier in price.tiers:
        if prompt_tokens > tier.above:
            tokens = max(tokens, tier.above * rates.dearest + output_tokens * rates.completion)
            rates = tier
    tokens = max(tokens, prompt_tokens * rates.dearest + output_tokens * rates.completion)
    return max(price.minimum, _rounded(price, tokens, images))


def cost(price: Price | None, units: Units) -> int | None:
    """What the provider charges for the request (nano-dollars), or None where its prices aren't known."""
    return None if price is None else charge(price, units)


def breakdown(price: Price, units: Units) -> dict[str, int | bool | None]:
    """The arithmetic behind `charge` as a ledger row keeps it: counts, unit prices, total (nano-dollars).

    `prompt_tokens` is the sum of the three counts after it; `tier_above` is None where no tier applied.
    """
    rates, exact = price.rates(units.prompt), _exact(price, units)
    total = max(price.minimum, exact)
    return {
        "prompt_tokens": units.prompt,
        "input_tokens": units.input,
        "cache_read_tokens": units.cache_read,
        "cache_write_tokens": units.cache_write,
        "completion_tokens": units.output,
        "images": units.images,
        "tier_above": rates.above if isinstance(rates, Tier) else None,
        "prompt_price": rates.prompt,
        "cache_read_price": rates.read,
        "cache_write_price": rates.write,
        "completion_price": rates.completion,
        "image_price": price.image,
        "request_price": price.request,
        "minimum_price": price.minimum,
        "markup_millionths": price.markup,
        "minimum_applied": total > exact,
        "total": total,
    }


def selling(price: Price) -> dict[str, Any]:
    """What buyers are told, the markup included: exact decimal strings of US dollars.

    Token prices are per million tokens, `request` and `minimum` per request, `image` per image. What is the same
    as for any other token, or costs nothing, is left out; so are tiers where there are none.
    """
    factor = WHOLE + price.markup
    told: dict[str, Any] = {
        **_selling_rates(price, factor),
        "request": _decimal(price.request * factor),
        "minimum": _decimal(price.minimum * WHOLE),
    }
    if price.image:
        told["image"] = _decimal(price.image * factor)
    if price.tiers:
        told["tiers"] = [{"above": tier.above, **_selling_rates(tier, factor)} for tier in price.tiers]
    return told


def _selling_rates(rates: Rates, factor: int) -> dict[str, str]:
    told = {"prompt": _decimal(rates.prompt * factor), "completion": _decimal(rates.completion * factor)}
    if rates.cache_read is not None:
        told["input_cache_read"] = _decimal(rates.cache_read * factor)
    if rates.cache_write is not None:
        told["input_cache_write"] = _decimal(rates.cache_write * factor)
    return told


def _exact(price: Price, units: Used) -> int:
    """The price before the minimum, rounded up."""
    rates = price.rates(units.prompt)
    tokens = (
        units.input * rates.prompt
        + units.cache_read * rates.read
        + units.cache_write * rates.write
        + units.output * rates.completion
    )
    return _rounded(price, tokens, units.images)


def _rounded(price: Price, tokens: int, images: int) -> int:
    """The one rounding: the tokens' price (nano-dollars x 10^6), the fees and the markup, up to a whole nano."""
    fees = (price.request + images * price.image) * PER_TOKENS
    return -(-(tokens + fees) * (WHOLE + price.markup) // (PER_TOKENS * WHOLE))


def _decimal(units: int) -> str:
    """The decimal string of an amount in 10^-15 dollars, without trailing zeros."""
    whole, fraction = divmod(units, 10**_SELLING_DECIMALS)
    return f"{whole}.{fraction:0{_SELLING_DECIMALS}d}".rstrip("0").rstrip(".")


def _check(name: str, value: object) -> None:
    # A bool is an int to Python, and a float can't hold money.
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be an integer that is not negative, not {value!r}")
