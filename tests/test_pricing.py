"""Prices: exact, rounded up once per request, never less at a bound than at what was used."""

import json
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config import money
from paywalls.pricing import MAX_TIERS, Price, Tier, Units, breakdown, charge, cost, selling, worst_case
from tests.environment import ROOT

GPT_4O_MINI = Price(prompt=150_000_000, completion=600_000_000, markup=200_000)
SONNET = Price(
    prompt=3_000_000_000,
    completion=15_000_000_000,
    cache_read=300_000_000,
    cache_write=3_750_000_000,
    tiers=(Tier(6_000_000_000, 22_500_000_000, 600_000_000, 7_500_000_000, above=200_000),),
)

nano = st.integers(0, money.MAX_AMOUNT)
cache = st.none() | nano
tokens = st.integers(0, 100_000_000)


@st.composite
def tier_lists(draw: st.DrawFn) -> tuple[Tier, ...]:
    starts = sorted(draw(st.sets(st.integers(1, 100_000_000), max_size=MAX_TIERS)))
    return tuple(draw(st.builds(Tier, nano, nano, cache, cache, above=st.just(start))) for start in starts)


prices = st.builds(
    Price,
    prompt=nano,
    completion=nano,
    cache_read=cache,
    cache_write=cache,
    request=nano,
    minimum=nano,
    image=nano,
    markup=st.integers(0, 100 * 1_000_000),
    tiers=tier_lists(),
)
units = st.builds(
    Units, input=tokens, cache_read=tokens, cache_write=tokens, output=tokens, images=st.integers(0, 1_000)
)


def test_a_worked_example() -> None:
    # 1,000 prompt tokens at $0.15 a million and 500 completion tokens at $0.60 are $0.00045; plus 20 %.
    assert charge(GPT_4O_MINI, Units(input=1_000, output=500)) == 540_000


def test_each_bucket_has_its_own_price() -> None:
    # $0.003 + $0.0003 + $0.00375 + $0.015 for a thousand tokens of each.
    used = Units(input=1_000, cache_read=1_000, cache_write=1_000, output=1_000)
    assert charge(SONNET, used) == 22_050_000


def test_a_cache_without_a_price_of_its_own_costs_as_the_prompt_does() -> None:
    used = Units(input=100, cache_read=200, cache_write=300, output=50)
    assert charge(GPT_4O_MINI, used) == charge(GPT_4O_MINI, Units(input=600, output=50))


def test_a_cache_price_of_zero_is_a_price() -> None:
    assert charge(replace(GPT_4O_MINI, cache_read=0), Units(cache_read=1_000_000)) == 0


def test_images_cost_by_the_piece_and_carry_the_markup() -> None:
    assert charge(replace(GPT_4O_MINI, image=1_000_000), Units(images=3)) == 3_600_000


@pytest.mark.parametrize(
    ("used", "nano_dollars", "tier"),
    [
        (Units(input=200_000), 600_000_000, None),
        # One token more, and all of them are dearer: the output, too.
        (Units(input=200_001), 1_200_006_000, 200_000),
        (Units(input=100_000, cache_read=50_000, cache_write=50_001, output=10), 1_005_232_500, 200_000),
        # Only the prompt counts for the size.
        (Units(input=1, output=300_000), 4_500_003_000, None),
    ],
)
def test_the_size_of_the_whole_prompt_chooses_the_tier(
    used: Units, nano_dollars: int, tier: int | None
) -> None:
    assert charge(SONNET, used) == nano_dollars
    assert breakdown(SONNET, used)["tier_above"] == tier


def test_a_cache_price_that_a_tier_does_not_name_is_the_prompts_of_that_tier() -> None:
    price = Price(10, 0, cache_read=1, tiers=(Tier(20_000_000, 0, above=5),))
    assert charge(price, Units(cache_read=6)) == 120


@pytest.mark.parametrize(
    ("used", "dollars"),
    [
        (Units(input=2_000, cache_read=1_000, cache_write=500, output=400), "0.01821"),
        (Units(input=200_001, output=1_000), "1.4772072"),
    ],
)
def test_the_documented_examples(used: Units, dollars: str) -> None:
    text = (ROOT / "docs" / "pricing.md").read_text()
    written = text.split("    pricing: ")[1].split("\n\n")[0]
    pricing = yaml.safe_load(written)
    tiers = [Tier(above=tier.pop("above"), **in_nano(tier)) for tier in pricing.pop("tiers")]
    price = Price(**in_nano(pricing), markup=200_000, tiers=tuple(tiers))
    assert money.plain(charge(price, used)) == dollars
    assert f"| ${dollars} |" in text


def in_nano(dollars: dict[str, str]) -> dict[str, int]:
    return {name: money.parse(text) for name, text in dollars.items()}


def test_a_fee_per_request_carries_the_markup() -> None:
    assert charge(Price(0, 0, request=100_000, markup=200_000), Units()) == 120_000


def test_the_minimum_is_final() -> None:
    price = Price(prompt=150_000_000, completion=0, minimum=1_000_000, markup=200_000)
    assert charge(price, Units(input=1)) == 1_000_000
    assert charge(price, Units()) == 1_000_000
    assert charge(price, Units(input=100_000)) == 18_000_000


@pytest.mark.parametrize(("prompt_tokens", "nano_dollars"), [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)])
def test_a_fraction_of_a_nano_dollar_is_rounded_up(prompt_tokens: int, nano_dollars: int) -> None:
    assert charge(Price(prompt=1, completion=0), Units(input=prompt_tokens)) == nano_dollars


def test_the_sum_is_rounded_not_its_parts() -> None:
    # Twice three quarters of a nano-dollar plus 10 % are 1.65. A markup added after rounding would make it 3.
    price = Price(prompt=750_000, completion=750_000, markup=100_000)
    assert charge(price, Units(input=1, output=1)) == 2


def test_a_million_tiny_charges_sum_to_the_exact_decimal() -> None:
    # 7 tokens at $0.15 and 3 at $0.60 a million: $0.00000285, nothing to round; a float would drift.
    price = Price(prompt=150_000_000, completion=600_000_000)
    total = sum(charge(price, Units(input=7, output=3)) for _ in range(1_000_000))
    assert money.plain(total) == "2.85"
    assert Decimal(total) / money.NANO == Decimal("0.00000285") * 1_000_000


def in_decimals(price: Price, used: Units) -> int:
    """The charge as the documentation states it, worked out another way."""
    prompt = used.input + used.cache_read + used.cache_write
    rates: Any = max(
        (tier for tier in price.tiers if tier.above < prompt), key=lambda t: t.above, default=price
    )
    with localcontext(prec=60):
        million = Decimal(1_000_000)
        due = Decimal(used.input * rates.prompt + used.output * rates.completion)
        due += used.cache_read * (rates.prompt if rates.cache_read is None else rates.cache_read)
        due += used.cache_write * (rates.prompt if rates.cache_write is None else rates.cache_write)
        due = (due / million + price.request + used.images * price.image) * (1 + price.markup / million)
        return max(price.minimum, int(due.to_integral_value(ROUND_CEILING)))


@given(prices, units)
def test_agrees_with_decimal_arithmetic(price: Price, used: Units) -> None:
    assert charge(price, used) == in_decimals(price, used)
    assert breakdown(price, used)["total"] == charge(price, used)


@given(prices, units, units)
def test_without_tiers_it_never_falls_when_a_count_rises(price: Price, used: Units, more: Units) -> None:
    price = replace(price, tiers=())
    total = Units(
        used.input + more.input,
        used.cache_read + more.cache_read,
        used.cache_write + more.cache_write,
        used.output + more.output,
        used.images + more.images,
    )
    assert charge(price, total) >= charge(price, used)


@given(prices, units, tokens, tokens, st.integers(0, 9))
def test_the_worst_case_covers_whatever_a_cache_or_a_tier_does(
    price: Price, used: Units, more_prompt: int, more_output: int, more_images: int
) -> None:
    bound = worst_case(
        price,
        prompt_tokens=used.prompt + more_prompt,
        output_tokens=used.output + more_output,
        images=used.images + more_images,
    )
    assert bound >= charge(price, used)


@given(prices, tokens, tokens, st.integers(0, 9))
def test_the_worst_case_can_happen(price: Price, prompt: int, output: int, images: int) -> None:
    """So that nobody is refused for more than a request can cost."""
    sizes = [prompt, *(tier.above for tier in price.tiers if tier.above < prompt)]
    possible = [
        charge(price, Units(**{bucket: size}, output=output, images=images))
        for size in sizes
        for bucket in ("input", "cache_read", "cache_write")
    ]
    assert worst_case(price, prompt_tokens=prompt, output_tokens=output, images=images) == max(possible)


def test_a_cheaper_tier_does_not_lower_the_worst_case() -> None:
    price = Price(prompt=1_000_000, completion=0, tiers=(Tier(1, 0, above=1_000),))
    assert worst_case(price, prompt_tokens=1_001, output_tokens=0) == 1_000


def test_the_worst_case_of_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="prompt_tokens"):
        worst_case(SONNET, prompt_tokens=-1, output_tokens=0)


@given(prices, units)
def test_the_price_that_is_told_is_the_price_that_is_charged(price: Price, used: Units) -> None:
    shown = selling(price)
    tier = max(
        (tier for tier in shown.get("tiers", []) if tier["above"] < used.prompt),
        key=lambda tier: tier["above"],
        default=shown,
    )
    told = {name: Decimal(text) for name, text in tier.items() if name != "tiers"}
    with localcontext(prec=60):
        due = used.input * told["prompt"] + used.output * told["completion"]
        due += used.cache_read * told.get("input_cache_read", told["prompt"])
        due += used.cache_write * told.get("input_cache_write", told["prompt"])
        due = due / 1_000_000 + Decimal(shown["request"]) + used.images * Decimal(shown.get("image", "0"))
        due = max(Decimal(shown["minimum"]), due) * money.NANO
        expected = int(due.to_integral_value(ROUND_CEILING))
    assert charge(price, used) == expected


def test_prices_are_told_as_plain_decimals_with_the_markup() -> None:
    price = Price(prompt=150_000_000, completion=600_000_000, request=100_000, minimum=1, markup=333_333)
    assert selling(price) == {
        "prompt": "0.19999995",
        "completion": "0.7999998",
        "request": "0.0001333333",
        "minimum": "0.000000001",
    }
    assert selling(Price(0, 10 * money.NANO))["prompt"] == "0"
    assert selling(Price(0, 10 * money.NANO))["completion"] == "10"


def test_what_is_priced_apart_is_told_apart() -> None:
    told = selling(replace(SONNET, image=4_000_000, markup=500_000))
    assert (told["input_cache_read"], told["input_cache_write"], told["image"]) == ("0.45", "5.625", "0.006")
    assert told["tiers"] == [
        {
            "above": 200_000,
            "prompt": "9",
            "completion": "33.75",
            "input_cache_read": "0.9",
            "input_cache_write": "11.25",
        }
    ]


def test_a_ledger_row_keeps_the_arithmetic() -> None:
    price = replace(SONNET, request=7, minimum=1_000_000_000_000, image=9, markup=200_000)
    kept = breakdown(price, Units(input=200_000, cache_read=1, cache_write=2, output=500, images=1))
    assert kept == {
        "prompt_tokens": 200_003,
        "input_tokens": 200_000,
        "cache_read_tokens": 1,
        "cache_write_tokens": 2,
        "completion_tokens": 500,
        "images": 1,
        "tier_above": 200_000,
        "prompt_price": 6_000_000_000,
        "cache_read_price": 600_000_000,
        "cache_write_price": 7_500_000_000,
        "completion_price": 22_500_000_000,
        "image_price": 9,
        "request_price": 7,
        "minimum_price": 1_000_000_000_000,
        "markup_millionths": 200_000,
        "minimum_applied": True,
        "total": 1_000_000_000_000,
    }
    assert json.loads(json.dumps(kept)) == kept


@pytest.mark.parametrize(("minimum", "applied"), [(539_999, False), (540_000, False), (540_001, True)])
def test_the_minimum_applies_only_where_it_changes_the_charge(minimum: int, applied: bool) -> None:
    price = replace(GPT_4O_MINI, minimum=minimum)
    assert breakdown(price, Units(input=1_000, output=500))["minimum_applied"] is applied


def test_the_providers_cost_is_the_same_arithmetic_at_its_prices() -> None:
    used = Units(input=7, cache_read=11, cache_write=13, output=17)
    assert cost(SONNET, used) == charge(SONNET, used)
    assert cost(None, used) is None
    assert cost(Price(0, 0), used) == 0


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", None, float("nan")])
@pytest.mark.parametrize("field", ["prompt", "completion", "request", "minimum", "image", "markup"])
def test_a_price_that_is_negative_or_no_integer_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=field):
        Price(**{"prompt": 1, "completion": 1, field: wrong})


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", float("nan")])
@pytest.mark.parametrize("field", ["prompt", "completion", "cache_read", "cache_write"])
def test_so_is_a_price_of_a_cache_or_a_tier(field: str, wrong: Any) -> None:
    rates: dict[str, Any] = {"prompt": 1, "completion": 1, field: wrong}
    with pytest.raises(ValueError, match=field):
        Price(**rates)
    with pytest.raises(ValueError, match=field):
        Tier(**rates, above=1)


@pytest.mark.parametrize("starts", [[0], [5, 5], [5, 4], range(1, MAX_TIERS + 2)])
def test_tiers_in_disorder_are_refused(starts: list[int]) -> None:
    with pytest.raises(ValueError, match="tiers"):
        Price(1, 1, tiers=tuple(Tier(1, 1, above=start) for start in starts))


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", None])
@pytest.mark.parametrize("field", ["input", "cache_read", "cache_write", "output", "images"])
def test_a_count_that_is_negative_or_no_integer_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=field):
        Units(**{field: wrong})
