"""When credits run out, at the rate they went lately. Pure; amounts are nano-dollars.

The expected burn of a day is the linearly weighted mean of up to 30 whole days before today: yesterday counts 30 times
as much as the day 30 days ago. Days before the first use don't count, so that a new tenant isn't told years. Today is
not over and would pull the mean down; it counts only where it is all there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

DAYS = 30
# Nobody plans further; dates end before the calendar does.
MAX_DAYS = 3_650


@dataclass(frozen=True, slots=True)
class Forecast:
    """`per_day` is the expected burn; `days_left` and `runs_out` are None where the balance lasts for good."""

    balance: int
    per_day: int
    days_left: Fraction | None
    runs_out: date | None

    def balance_after(self, days: int) -> int:
        """The balance expected so many days from now, at least 0."""
        return max(0, self.balance - self.per_day * days)


def forecast(balance: int, burned: Mapping[date, int], today: date) -> Forecast:
    """The forecast from what was burned on each day; a day that is missing burned nothing."""
    per_day = expected_burn(burned, today)
    if per_day <= 0:
        return Forecast(balance, 0, None, None)
    days_left = Fraction(max(0, balance), per_day)
    runs_out = today + timedelta(days=int(days_left)) if days_left <= MAX_DAYS else None
    return Forecast(balance, per_day, days_left, runs_out)


def expected_burn(burned: Mapping[date, int], today: date) -> int:
    """What a day is expected to burn, rounded up."""
    oldest = today - timedelta(days=DAYS)
    first = min((day for day, amount in burned.items() if amount and oldest <= day < today), default=None)
    if first is None:
        return burned.get(today, 0)
    total = weights = 0
    for age in range(1, (today - first).days + 1):
        weight = DAYS + 1 - age
        total += weight * burned.get(today - timedelta(days=age), 0)
        weights += weight
    return -(-total // weights)


def mean(burned: Mapping[date, int], today: date, days: int) -> int:
    """The plain mean of the last `days` days, today among them."""
    return total(burned, today, days) // days


def total(burned: Mapping[date, int], today: date, days: int) -> int:
    """What was burned on the last `days` days, today among them."""
    return sum(burned.get(today - timedelta(days=age), 0) for age in range(days))
