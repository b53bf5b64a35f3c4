"""Prices: exact, rounded up once per request, never less at a bound than at what was used."""

import json
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import money
from paywalls.pricing import Price, breakdown, charge, selling

GPT_4O_MINI = Price(prompt=150_000_000, completion=600_000_000, markup=200_000)

nano = st.integers(0, money.MAX_AMOUNT)
markup = st.integers(0, 100 * 1_000_000)
prices = st.builds(Price, prompt=nano, completion=nano, request=nano, minimum=nano, markup=markup)
tokens = st.integers(0, 100_000_000)


def test_a_worked_example() -> None:
    # 1,000 prompt tokens at $0.15 a million and 500 completion tokens at $0.60 are $0.00045; plus 20 %.
    assert charge(GPT_4O_MINI, prompt_tokens=1_000, completion_tokens=500) == 540_000


def test_a_fee_per_request_carries_the_markup() -> None:
    assert (
        charge(Price(0, 0, request=100_000, markup=200_000), prompt_tokens=0, completion_tokens=0) == 120_000
    )


def test_the_minimum_is_final() -> None:
    price = Price(prompt=150_000_000, completion=0, minimum=1_000_000, markup=200_000)
    assert charge(price, prompt_tokens=1, completion_tokens=0) == 1_000_000
    assert charge(price, prompt_tokens=0, completion_tokens=0) == 1_000_000
    assert charge(price, prompt_tokens=100_000, completion_tokens=0) == 18_000_000


@pytest.mark.parametrize(("prompt_tokens", "nano_dollars"), [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)])
def test_a_fraction_of_a_nano_dollar_is_rounded_up(prompt_tokens: int, nano_dollars: int) -> None:
    assert (
        charge(Price(prompt=1, completion=0), prompt_tokens=prompt_tokens, completion_tokens=0)
        == nano_dollars
    )


def test_the_sum_is_rounded_not_its_parts() -> None:
    # Twice three quarters of a nano-dollar plus 10 % are 1.65. A markup added after rounding would make it 3.
    price = Price(prompt=750_000, completion=750_000, markup=100_000)
    assert charge(price, prompt_tokens=1, completion_tokens=1) == 2


@given(prices, tokens, tokens)
def test_agrees_with_decimal_arithmetic(price: Price, prompt_tokens: int, completion_tokens: int) -> None:
    with localcontext(prec=60):
        million = Decimal(1_000_000)
        cost = (prompt_tokens * price.prompt + completion_tokens * price.completion) / million + price.request
        cost *= 1 + price.markup / million
        expected = max(price.minimum, int(cost.to_integral_value(ROUND_CEILING)))
    assert charge(price, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens) == expected


@given(prices, tokens, tokens, tokens, tokens)
def test_a_bound_on_the_tokens_is_a_bound_on_the_charge(
    price: Price, prompt_tokens: int, completion_tokens: int, more_prompt: int, more_completion: int
) -> None:
    used = charge(price, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    bound = charge(
        price,
        prompt_tokens=prompt_tokens + more_prompt,
        completion_tokens=completion_tokens + more_completion,
    )
    assert bound >= used


@given(prices, tokens, tokens)
def test_the_price_that_is_told_is_the_price_that_is_charged(
    price: Price, prompt_tokens: int, completion_tokens: int
) -> None:
    told = {name: Decimal(text) for name, text in selling(price).items()}
    with localcontext(prec=60):
        per_token = (prompt_tokens * told["prompt"] + completion_tokens * told["completion"]) / 1_000_000
        due = max(told["minimum"], per_token + told["request"]) * money.NANO
        expected = int(due.to_integral_value(ROUND_CEILING))
    assert charge(price, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens) == expected


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


def test_a_ledger_row_keeps_the_arithmetic() -> None:
    price = Price(prompt=150_000_000, completion=600_000_000, request=7, minimum=1_000_000, markup=200_000)
    kept = breakdown(price, prompt_tokens=1_000, completion_tokens=500)
    assert kept == {
        "prompt_tokens": 1_000,
        "completion_tokens": 500,
        "prompt_price": 150_000_000,
        "completion_price": 600_000_000,
        "request_price": 7,
        "minimum_price": 1_000_000,
        "markup_millionths": 200_000,
        "minimum_applied": True,
        "total": 1_000_000,
    }
    assert json.loads(json.dumps(kept)) == kept


@pytest.mark.parametrize(("minimum", "applied"), [(539_999, False), (540_000, False), (540_001, True)])
def test_the_minimum_applies_only_where_it_changes_the_charge(minimum: int, applied: bool) -> None:
    price = Price(prompt=150_000_000, completion=600_000_000, minimum=minimum, markup=200_000)
    assert breakdown(price, prompt_tokens=1_000, completion_tokens=500)["minimum_applied"] is applied


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", None, float("nan")])
@pytest.mark.parametrize("field", ["prompt", "completion", "request", "minimum", "markup"])
def test_a_price_that_is_negative_or_no_integer_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=field):
        Price(**{"prompt": 1, "completion": 1, field: wrong})


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1", None])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_is_negative_or_no_integer_is_refused(field: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=field):
        charge(GPT_4O_MINI, **{"prompt_tokens": 1, "completion_tokens": 1, field: wrong})
    with pytest.raises(ValueError, match=field):
        breakdown(GPT_4O_MINI, **{"prompt_tokens": 1, "completion_tokens": 1, field: wrong})
