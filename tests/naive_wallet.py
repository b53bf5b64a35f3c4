"""A wallet as a child would keep it: coins with an owner's note, and a debt. The reference for `ledger/book.py`.

It shares no code and no representation with the book: no running balance, no versions, everything is recounted.
"""

from datetime import datetime


class Refused(Exception):
    pass


class NaiveWallet:
    def __init__(self):
        self.lots = []  # dicts of order, left, expires
        self.debt = 0
        self.open_holds = {}
        self.lost_holds = {}
        self.spent = 0
        self.broken = 0
        self.credited = 0

    # What it has

    @property
    def posted(self):
        return sum(lot["left"] for lot in self.lots) - self.debt

    @property
    def held(self):
        return sum(self.open_holds.values())

    def _expire(self, now: datetime):
        for lot in sorted(self.lots, key=lambda lot: lot["order"]):
            if lot["expires"] and lot["expires"] <= now:
                gone = max(0, min(lot["left"], self.posted - self.held))
                lot["left"] -= gone
                self.broken += gone

    def _pay(self, amount):
        self.spent += amount
        for lot in sorted(self.lots, key=lambda lot: lot["order"]):
            part = min(amount, lot["left"])
            lot["left"] -= part
            amount -= part
        self.debt += amount

    # What one can do

    def credit(self, amount, order, expires, now):
        self._expire(now)
        self.credited += amount
        paid_back = min(amount, self.debt)
        self.debt -= paid_back
        self.lots.append({"order": order, "left": amount - paid_back, "expires": expires})

    def debit(self, amount, now):
        before = (
            [dict(lot) for lot in self.lots],
            self.broken,
        )
        self._expire(now)
        if amount > self.posted - self.held:
            self.lots, self.broken = before
            raise Refused
        self._pay(amount)

    def hold(self, name, amount, now):
        before = ([dict(lot) for lot in self.lots], self.broken)
        self._expire(now)
        if amount > self.posted - self.held:
            self.lots, self.broken = before
            raise Refused
        self.open_holds[name] = amount

    def capture(self, name, amount, now):
        if name not in self.open_holds and name not in self.lost_holds:
            raise Refused
        self._expire(now)
        self.open_holds.pop(name, None)
        self.lost_holds.pop(name, None)
        self._pay(amount)

    def release(self, name):
        if name not in self.open_holds:
            raise Refused
        del self.open_holds[name]

    def sweep(self, name):
        if name not in self.open_holds:
            raise Refused
        self.lost_holds[name] = self.open_holds.pop(name)
