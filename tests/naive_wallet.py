"""A wallet as a child would keep it: coins with an owner's note, and a debt. The reference for `ledger/book.py`.

It shares no code and no representation with the book: no running balance, no versions, everything is recounted. A
charge remembers every single coin.
"""

from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime


class Refused(Exception):
    pass


class NaiveWallet:
    def __init__(self, day_limit=None, month_limit=None):
        self.lots = {}  # name -> dict of order, left, expires
        self.debt = 0
        self.open_holds = {}  # name -> amount
        self.lost_holds = set()
        self.charges = {}  # name -> the lot of each coin (None: it was debt), in the order in which they were paid
        self.credits = {}  # name -> what of it was not taken back
        self.spent = self.broken = self.credited = self.given_back = self.taken_back = 0
        self.limits = (day_limit, month_limit)
        self.day = None
        self.spending = {}  # name -> (day, amount)

    # What it has

    @property
    def posted(self):
        return sum(lot["left"] for lot in self.lots.values()) - self.debt

    @property
    def held(self):
        return sum(self.open_holds.values())

    @property
    def day_used(self):
        return sum(amount for day, amount in self.spending.values() if day == self.day)

    @property
    def month_used(self):
        return sum(
            amount
            for day, amount in self.spending.values()
            if (day.year, day.month) == (self.day.year, self.day.month)
        )

    def in_order(self):
        return sorted(self.lots.values(), key=lambda lot: lot["order"])

    @contextmanager
    def _all_or_nothing(self):
        before = deepcopy(self.__dict__)
        try:
            yield
        except Refused:
            self.__dict__ = before
            raise

    def _expire(self, now: datetime):
        for lot in self.in_order():
            if lot["expires"] and lot["expires"] <= now:
                gone = max(0, min(lot["left"], self.posted - self.held))
                lot["left"] -= gone
                self.broken += gone

    def _coins(self, amount, first=None):
        """Take coins one by one; the lot of each, None where there was none left."""
        taken = []
        for _ in range(amount):
            names = sorted(self.lots, key=lambda name: (name != first, self.lots[name]["order"]))
            lot = next((name for name in names if self.lots[name]["left"]), None)
            if lot is None:
                self.debt += 1
            else:
                self.lots[lot]["left"] -= 1
            taken.append(lot)
        return taken

    def _count(self, name, amount, now):
        self.day = max(self.day or now.date(), now.date())
        day_limit, month_limit = self.limits
        if day_limit is not None and self.day_used + amount > day_limit:
            raise Refused
        if month_limit is not None and self.month_used + amount > month_limit:
            raise Refused
        self.spending[name] = (self.day, amount)

    # What one can do

    def credit(self, name, amount, order, expires, now):
        self._expire(now)
        self.credited += amount
        paid_back = min(amount, self.debt)
        self.debt -= paid_back
        self.lots[name] = {"order": order, "left": amount - paid_back, "expires": expires}
        self.credits[name] = amount

    def debit(self, name, amount, now, counts=True):
        with self._all_or_nothing():
            if counts:
                self._count(name, amount, now)
            self._expire(now)
            if amount > self.posted - self.held:
                raise Refused
            self.charges[name] = self._coins(amount)
            self.spent += amount

    def hold(self, name, amount, now):
        with self._all_or_nothing():
            self._count(name, amount, now)
            self._expire(now)
            if amount > self.posted - self.held:
                raise Refused
            self.open_holds[name] = amount

    def capture(self, name, amount, now):
        if name not in self.open_holds and name not in self.lost_holds:
            raise Refused
        self._expire(now)
        self.open_holds.pop(name, None)
        self.lost_holds.discard(name)
        self.charges[name] = self._coins(amount)
        self.spending[name] = (self.spending[name][0], amount)
        self.spent += amount

    def release(self, name):
        if name not in self.open_holds:
            raise Refused
        del self.open_holds[name]
        self.spending[name] = (self.spending[name][0], 0)

    def sweep(self, name):
        self.release(name)
        self.lost_holds.add(name)

    def refund(self, name, amount, fresh, order, now):
        """The last coins come back first; debt takes the first of them."""
        coins = self.charges[name]
        if amount > len(coins):
            raise Refused
        self._expire(now)
        self.given_back += amount
        for _ in range(amount):
            lot = coins.pop()
            if self.debt:
                self.debt -= 1
            elif lot is None:
                self.lots.setdefault(fresh, {"order": order, "left": 0, "expires": None})["left"] += 1
            else:
                self.lots[lot]["left"] += 1
        self._expire(now)

    def reverse(self, name, amount, now):
        if amount > self.credits[name]:
            raise Refused
        self._expire(now)
        self.credits[name] -= amount
        self.taken_back += amount
        self._coins(amount, first=name)
