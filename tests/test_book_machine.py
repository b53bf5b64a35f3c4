"""Any sequence of operations, clock jumps included, leaves the book where the naive reference is.

A failure prints the steps and the seed (`@reproduce_failure`, `--hypothesis-seed`).
"""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import book, corrections
from ledger.corrections import Original
from ledger.errors import InsufficientFunds, Refusal
from ledger.lots import DEFAULT_PRIORITY
from ledger.windows import Limits
from tests.naive_wallet import NaiveWallet, Refused

NOW = datetime(2026, 2, 28, 20, 0, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
AMOUNTS = st.integers(min_value=1, max_value=60)


def key(number):
    return uuid.UUID(int=number)


class BookAgainstReference(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = NOW
        self.account, self.other, self.earnings = book.Account(), book.Account(), book.Account()
        self.earned = 0
        self.lots = {}  # every lot ever, as it was made
        self.holds, self.charges, self.credits = {}, {}, {}
        self.number = 0

    @initialize(day=st.sampled_from([None, 100, 150]), month=st.sampled_from([None, 200]))
    def limits(self, day, month):
        self.limits = Limits(day, month)
        self.naive = NaiveWallet(day, month)

    def _new(self):
        self.number += 1
        return key(self.number)

    def _both(self, on_book, on_naive):
        """Run both; they refuse together. The change, where there is one."""
        try:
            change = on_book()
        except Refusal:
            with pytest.raises(Refused):
                on_naive()
            return None
        on_naive()
        before, self.account = self.account, change.account
        if change.hold:
            self.holds[change.hold.id] = change.hold
        self.lots |= {lot.id: lot for lot in change.new_lots}
        # Movements are a gapless chain from the old balance to the new.
        balance, version = before.posted, before.version
        for movement in change.movements:
            assert (movement.balance_before, movement.version) == (balance, version + 1)
            balance, version = movement.balance_after, movement.version
        assert (change.account.posted, change.account.version) == (balance, version)
        return change

    def _original(self, movement, corrected=0):
        parts = tuple((self.lots[lot_id], abs(part)) for lot_id, part in movement.lots)
        return Original(abs(movement.amount), parts, corrected)

    @rule(
        amount=AMOUNTS,
        kind=st.sampled_from([book.PAID, book.GRANTED]),
        days=st.sampled_from([None, 1, 2, 3]),
        priority=st.sampled_from([10, DEFAULT_PRIORITY, DEFAULT_PRIORITY]),
    )
    def credit(self, amount, kind, days, priority):
        name = self._new()
        expires = self.now + timedelta(days=days) if days else None
        lot = book.Lot(name, kind, amount, amount, self.now, expires, priority)
        order = (priority, expires or NEVER, kind == book.PAID, self.now, name)
        change = self._both(
            lambda: book.credit(self.account, lot, self.now),
            lambda: self.naive.credit(name, amount, order, expires, self.now),
        )
        self.credits[name] = self._original(change.asked)

    @rule(amount=AMOUNTS)
    def charge(self, amount):
        name = self._new()
        change = self._both(
            lambda: book.charge(self.account, amount, self.now, self.limits),
            lambda: self.naive.debit(name, amount, self.now),
        )
        if change:
            self.charges[name] = self._original(change.asked)

    @rule(amount=AMOUNTS)
    def adjust_down(self, amount):
        """What an operator takes counts in no window."""
        self._both(
            lambda: book.debit(self.account, amount, self.now),
            lambda: self.naive.debit(self._new(), amount, self.now, counts=False),
        )

    @rule(amount=AMOUNTS)
    def earn(self, amount):
        self.earnings = book.earn(self.earnings, amount).account
        self.earned += amount

    @rule(amount=AMOUNTS)
    def withdraw(self, amount):
        try:
            self.earnings = book.debit(self.earnings, amount, self.now).account
        except InsufficientFunds:
            assert amount > self.earned
        else:
            self.earned -= amount

    @invariant()
    def earnings_are_what_was_earned_and_not_withdrawn(self):
        assert (self.earnings.posted, self.earnings.lots) == (self.earned, ())
        assert self.earned >= 0

    @rule(amount=AMOUNTS)
    def transfer(self, amount):
        """To another wallet: what it receives is what this one gave, lot by lot."""
        name = self._new()
        both = []

        def on_book():
            both.extend(book.transfer(self.account, self.other, amount, self.now, uuid.uuid4))
            return both[0]

        before = self.other.posted
        if self._both(on_book, lambda: self.naive.debit(name, amount, self.now, counts=False)):
            paid, received = both
            assert received.asked.balance_after == received.asked.balance_before + amount
            assert sum(part for _, part in paid.asked.lots) == -amount
            assert sum(lot.amount for lot in received.new_lots) == amount
            expired = sum(movement.amount for movement in received.movements if movement.expired)
            assert received.account.posted == before + amount + expired
            self.other = received.account

    @rule(amount=st.integers(min_value=0, max_value=60))
    def hold(self, amount):
        new = book.Hold(self._new(), amount)
        self._both(
            lambda: book.place_hold(self.account, new, self.now, self.limits),
            lambda: self.naive.hold(new.id, amount, self.now),
        )

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), amount=st.integers(min_value=0, max_value=90))
    def capture(self, data, amount):
        one = self.holds[data.draw(st.sampled_from(sorted(self.holds)))]
        change = self._both(
            lambda: book.capture(self.account, one, amount, self.now),
            lambda: self.naive.capture(one.id, amount, self.now),
        )
        if change and change.asked:
            self.charges[one.id] = self._original(change.asked)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), lost=st.booleans())
    def release(self, data, lost):
        one = self.holds[data.draw(st.sampled_from(sorted(self.holds)))]
        state = book.EXPIRED if lost else book.RELEASED
        self._both(
            lambda: book.release(self.account, one, as_state=state),
            lambda: (self.naive.sweep if lost else self.naive.release)(one.id),
        )

    @precondition(lambda self: self.charges)
    @rule(data=st.data(), amount=AMOUNTS)
    def refund(self, data, amount):
        name = data.draw(st.sampled_from(sorted(self.charges)))
        charge, fresh = self.charges[name], self._new()
        order = (DEFAULT_PRIORITY, NEVER, False, self.now, fresh)
        change = self._both(
            lambda: corrections.refund(self.account, charge, amount, self.now, fresh),
            lambda: self.naive.refund(name, amount, fresh, order, self.now),
        )
        if change:
            self.charges[name] = Original(charge.amount, charge.parts, charge.corrected + amount)

    @precondition(lambda self: self.credits)
    @rule(data=st.data(), amount=AMOUNTS)
    def reverse(self, data, amount):
        name = data.draw(st.sampled_from(sorted(self.credits)))
        credit = self.credits[name]
        change = self._both(
            lambda: corrections.reverse(self.account, credit, amount, self.now),
            lambda: self.naive.reverse(name, amount, self.now),
        )
        if change:
            self.credits[name] = Original(credit.amount, credit.parts, credit.corrected + amount)

    @rule()
    def expire(self):
        self._both(lambda: book.expire(self.account, self.now), lambda: self.naive._expire(self.now))
        assert book.expire(self.account, self.now).movements == ()

    @rule(hours=st.integers(min_value=-5, max_value=60))
    def clock_jumps(self, hours):
        self.now += timedelta(hours=hours)

    @invariant()
    def same_books(self):
        assert self.account.posted == self.naive.posted
        assert self.account.held == self.naive.held
        assert [x.remaining for x in self.account.lots] == [
            x["left"] for x in self.naive.in_order() if x["left"]
        ]

    @invariant()
    def same_windows(self):
        windows = self.account.windows
        assert windows.day == self.naive.day
        if windows.day:
            assert (windows.day_used, windows.month_used) == (self.naive.day_used, self.naive.month_used)

    @invariant()
    def lots_and_debt_are_the_balance(self):
        assert sum(x.remaining for x in self.account.lots) == max(0, self.account.posted)
        assert all(0 < x.remaining <= x.amount for x in self.account.lots)

    @invariant()
    def nothing_is_lost(self):
        naive = self.naive
        came = naive.credited + naive.given_back
        assert self.account.posted == came - naive.spent - naive.broken - naive.taken_back


TestBookAgainstReference = BookAgainstReference.TestCase
TestBookAgainstReference.settings = settings(
    max_examples=300, stateful_step_count=50, deadline=None, print_blob=True
)
