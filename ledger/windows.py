"""Spend windows: what a wallet has used of the current day and month (UTC), and whether more fits. Pure.

What a hold reserves counts at once, in the window in which the hold was made, and stays there: a settlement after
midnight corrects yesterday's count and leaves today's alone. Only the current window is kept, since no limit looks
at an older one. Amounts are nano-dollars.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from ledger.errors import SpendLimitReached


class Limits(NamedTuple):
    """The most that may be used in a day and in a month; None is no limit."""

    day: int | None = None
    month: int | None = None

    def or_else(self, defaults: "Limits") -> "Limits":
        """These, and the defaults where there is none of its own."""
        return Limits(
            defaults.day if self.day is None else self.day,
            defaults.month if self.month is None else self.month,
        )

    def within(self, others: "Limits") -> "Limits":
        """The smaller one of each."""
        return Limits(_smaller(self.day, others.day), _smaller(self.month, others.month))


NO_LIMITS = Limits()


class Windows(NamedTuple):
    """The current window: its day (which names its month), and what was held or spent in each."""

    day: date | None = None
    day_used: int = 0
    month_used: int = 0

    def spend(self, amount: int, limits: Limits, now: datetime) -> "Windows":
        """Count `amount` in the window of `now`. Raises SpendLimitReached where a limit is below the sum."""
        rolled = self._rolled(now)
        assert rolled.day
        day = rolled.day
        if limits.day is not None and rolled.day_used + amount > limits.day:
            raise SpendLimitReached("day", limits.day, rolled.day_used, _midnight(day + timedelta(days=1)))
        if limits.month is not None and rolled.month_used + amount > limits.month:
            next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            raise SpendLimitReached("month", limits.month, rolled.month_used, _midnight(next_month))
        return rolled.correct(amount, day)

    def correct(self, change: int, counted_on: date | None) -> "Windows":
        """Change what was counted on a day; of a window that is over nothing is kept."""
        if self.day is None or counted_on is None or not change:
            return self
        if counted_on == self.day:
            return Windows(self.day, self.day_used + change, self.month_used + change)
        in_month = (counted_on.year, counted_on.month) == (self.day.year, self.day.month)
        return Windows(self.day, self.day_used, self.month_used + change) if in_month else self

    def _rolled(self, now: datetime) -> "Windows":
        """The window of `now`. It only moves forward: a clock that is set back must not open a new one."""
        today = now.astimezone(UTC).date()
        if self.day is not None and today <= self.day:
            return self
        same_month = self.day is not None and (self.day.year, self.day.month) == (today.year, today.month)
        return Windows(today, 0, self.month_used if same_month else 0)


# The windows of a wallet that has never spent.
UNUSED = Windows()


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
