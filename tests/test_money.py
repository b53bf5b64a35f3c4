"""Decimal strings at the edges, integers inside."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import money


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("1", 1_000_000_000),
        ("0.25", 250_000_000),
        ("0.000000001", 1),
        ("0.250000000000", 250_000_000),
        ("007", 7_000_000_000),
        ("1000000", 1_000_000 * money.NANO),
    ],
)
def test_reads_decimal_strings(text: str, nano: int) -> None:
    assert money.parse(text) == nano


@pytest.mark.parametrize(
    "value",
    [
        "abc", "-1", "+1", "NaN", "Infinity", "1e3", "1e999", "", " 1", "1 ", "1\n", ".5", "1.", "1,5",
        "1_000", "0x10", "$1", "\u0661", "\uff11", "1" * 13, "0." + "0" * 18 + "1", None, 1, 0.25,
        True, [], {}, b"1",
    ],
)  # fmt: skip
def test_refuses_what_is_no_decimal_string(value: object) -> None:
    with pytest.raises(money.InvalidAmount, match="must be a decimal string"):
        money.parse(value)


def test_refuses_less_than_a_nano_dollar() -> None:
    with pytest.raises(money.InvalidAmount, match="at most 9 decimals"):
        money.parse("0.0000000001")


@pytest.mark.parametrize("text", ["0", "0.00", "000"])
def test_takes_zero_only_where_it_makes_sense(text: str) -> None:
    with pytest.raises(money.InvalidAmount, match="greater than 0"):
        money.parse(text)
    assert money.parse(text, zero=True) == 0


@pytest.mark.parametrize("text", ["1000000.000000001", "999999999999"])
def test_refuses_more_than_the_most(text: str) -> None:
    with pytest.raises(money.InvalidAmount, match="at most 1000000"):
        money.parse(text)


@given(st.integers(min_value=1, max_value=money.MAX_AMOUNT))
def test_plain_is_the_inverse_of_parse(nano: int) -> None:
    assert money.parse(money.plain(nano)) == nano


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_plain_is_exact_for_every_balance(nano: int) -> None:
    assert Decimal(money.plain(nano)) == Decimal(nano).scaleb(-9)


@pytest.mark.parametrize(
    ("nano", "plain", "formatted"),
    [
        (0, "0", "$0.00"),
        (1, "0.000000001", "$0.000000001"),
        (150_000_000, "0.15", "$0.15"),
        (12_500_000, "0.0125", "$0.0125"),
        (1_234_500_000_000, "1234.5", "$1,234.50"),
        (10 * money.NANO, "10", "$10.00"),
        (-12_000, "-0.000012", "-$0.000012"),
        (-1_500_000_000, "-1.5", "-$1.50"),
    ],
)
def test_shows_amounts_exactly(nano: int, plain: str, formatted: str) -> None:
    assert money.plain(nano) == plain
    assert money.formatted(nano) == formatted
