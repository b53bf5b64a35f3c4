"""The run-out forecast: the latest days count most, and today isn't over."""

from datetime import date, timedelta
from fractions import Fraction

from ledger.analytics.forecast import DAYS, expected_burn, forecast

TODAY = date(2026, 4, 1)


def days_ago(**amounts):
    return {TODAY - timedelta(days=int(age[1:])): amount for age, amount in amounts.items()}


def test_an_even_burn_is_expected_to_go_on():
    burned = {TODAY - timedelta(days=age): 100 for age in range(1, 31)}
    found = forecast(1_050, burned, TODAY)
    assert (found.per_day, found.days_left) == (100, Fraction(21, 2))
    assert found.runs_out == date(2026, 4, 11)


def test_the_latest_days_count_most():
    rising = {TODAY - timedelta(days=age): DAYS + 1 - age for age in range(1, DAYS + 1)}
    falling = {TODAY - timedelta(days=age): age for age in range(1, DAYS + 1)}
    assert expected_burn(rising, TODAY) == 21
    assert expected_burn(falling, TODAY) == 11


def test_today_counts_only_where_it_is_all_there_is():
    assert expected_burn(days_ago(a0=70), TODAY) == 70
    assert expected_burn(days_ago(a0=70, a1=10), TODAY) == 10


def test_days_before_the_first_use_do_not_count():
    assert expected_burn(days_ago(a2=30, a1=30), TODAY) == 30


def test_a_day_without_use_counts_as_nothing():
    assert expected_burn(days_ago(a3=28), TODAY) == 10


def test_what_is_older_than_the_window_is_forgotten():
    assert forecast(10, days_ago(a31=100), TODAY).days_left is None


def test_a_balance_that_never_ends_has_no_date():
    assert forecast(10**18, days_ago(a1=1), TODAY).runs_out is None
    assert forecast(5, {}, TODAY).runs_out is None


def test_debt_is_run_out_now():
    found = forecast(-5, days_ago(a1=1), TODAY)
    assert (found.days_left, found.runs_out) == (0, TODAY)


def test_part_of_a_nano_is_rounded_up():
    assert expected_burn(days_ago(a2=1), TODAY) == 1
