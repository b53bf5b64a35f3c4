"""The pure rules of one account: enumerated edges, and a state machine against a naive reference."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger import book
from ledger.errors import BalanceTooLarge, HoldNotOpen, InsufficientFunds
from tests.naive_wallet import NaiveWallet, Refused

NOW = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
LATER = NOW + timedelta(days=40)


def lot(amount, *, kind=book.PAID, expires_at=None, created_at=NOW, number=0):
    return book.Lot(uuid.UUID(int=number), kind, amount, amount, created_at, expires_at)


def wallet(*lots):
    account = book.Account()
    for one in lots:
        account = book.credit(account, one, NOW).account
    return account


def hold(amount, number=1):
    return book.Hold(uuid.UUID(int=number), amount)


class TestHolds:
    def test_a_hold_of_all_there_is_fits_and_one_more_nano_does_not(self):
        account = wallet(lot(100))
        assert book.place_hold(account, hold(100), NOW).account.available == 0
        with pytest.raises(InsufficientFunds) as refused:
            book.place_hold(account, hold(101), NOW)
        assert (refused.value.required, refused.value.available) == (101, 100)

    def test_two_holds_share_one_balance(self):
        account = book.place_hold(wallet(lot(100)), hold(60), NOW).account
        with pytest.raises(InsufficientFunds):
            book.place_hold(account, hold(41, 2), NOW)

    def test_debt_refuses_even_a_hold_of_nothing(self):
        account = wallet(lot(10))
        held = book.place_hold(account, hold(10), NOW)
        account = book.capture(held.account, held.hold, 15, NOW).account
        assert account.posted == -5
        with pytest.raises(InsufficientFunds):
            book.place_hold(account, hold(0, 2), NOW)

    def test_a_hold_is_resolved_once(self):
        held = book.place_hold(wallet(lot(100)), hold(50), NOW)
        captured = book.capture(held.account, held.hold, 20, NOW)
        assert captured.account.posted == 80
        assert captured.account.held == 0
        for again in (
            lambda h: book.capture(captured.account, h, 20, NOW),
            lambda h: book.release(captured.account, h),
        ):
            with pytest.raises(HoldNotOpen):
                again(captured.hold)

    def test_a_late_settlement_of_a_swept_hold_still_charges_and_frees_nothing_twice(self):
        held = book.place_hold(wallet(lot(100)), hold(50), NOW)
        swept = book.release(held.account, held.hold, as_state=book.EXPIRED)
        assert swept.account.held == 0
        late = book.capture(swept.account, swept.hold, 30, NOW)
        assert (late.account.posted, late.account.held) == (70, 0)

    def test_settling_nothing_moves_no_money(self):
        held = book.place_hold(wallet(lot(100)), hold(50), NOW)
        change = book.capture(held.account, held.hold, 0, NOW)
        assert change.movements == ()
        assert (change.account.posted, change.account.held, change.account.lots) == (100, 0, (lot(100),))


class TestLots:
    def test_the_soonest_expiry_burns_first_then_granted_before_paid_then_oldest_then_id(self):
        lots = [
            lot(1, number=6),
            lot(1, number=5),
            lot(1, number=9, created_at=NOW - timedelta(days=1)),
            lot(1, number=8, kind=book.GRANTED),
            lot(1, number=7, expires_at=LATER),
            lot(1, number=4, expires_at=SOON),
        ]
        account, burned = wallet(*lots), []
        for _ in lots:
            change = book.debit(account, 1, NOW)
            account = change.account
            burned += [lot_id.int for lot_id, _ in change.movements[0].lots]
        assert burned == [4, 7, 8, 9, 5, 6]

    def test_an_expired_lot_goes_before_anything_else_happens(self):
        account = wallet(lot(70, expires_at=SOON), lot(30, number=2))
        change = book.debit(account, 30, SOON)
        assert [movement.amount for movement in change.movements] == [-70, -30]
        with pytest.raises(InsufficientFunds):
            book.debit(account, 31, SOON)

    def test_expiry_leaves_what_an_open_hold_needs(self):
        held = book.place_hold(wallet(lot(70, expires_at=SOON)), hold(50), NOW)
        expired = book.expire(held.account, SOON)
        assert expired.account.posted == 50
        captured = book.capture(expired.account, held.hold, 45, LATER)
        assert captured.account.posted == 5
        assert book.expire(captured.account, LATER).account.posted == 0

    def test_expiring_twice_takes_once(self):
        once = book.expire(wallet(lot(70, expires_at=SOON)), SOON)
        assert book.expire(once.account, SOON).movements == ()

    def test_new_credit_pays_debt_first(self):
        held = book.place_hold(wallet(lot(10)), hold(10), NOW)
        debt = book.capture(held.account, held.hold, 25, NOW).account
        change = book.credit(debt, lot(20, number=3), NOW)
        assert change.account.posted == 5
        assert [x.remaining for x in change.account.lots] == [5]
        assert change.movements[0].lots == ((uuid.UUID(int=3), 5),)

    def test_a_balance_has_a_limit(self):
        account = wallet(lot(book.MAX_BALANCE))
        with pytest.raises(BalanceTooLarge):
            book.credit(account, lot(1, number=2), NOW)

    def test_many_tiny_charges_sum_exactly(self):
        account = wallet(lot(10**9))
        for _ in range(1_000):
            account = book.debit(account, 3, NOW).account
        assert account.posted == 10**9 - 3_000
        assert account.version == 1_001


AMOUNTS = st.integers(min_value=1, max_value=60)


class BookAgainstReference(RuleBasedStateMachine):
    """Any sequence of operations, clock jumps included, leaves the book where the naive reference is."""

    def __init__(self):
        super().__init__()
        self.now = NOW
        self.account = book.Account()
        self.holds = {}
        self.naive = NaiveWallet()
        self.number = 0
        self.moved = 0

    def _both(self, on_book, on_naive):
        """Run both; they refuse together."""
        try:
            change = on_book()
        except (InsufficientFunds, HoldNotOpen):
            with pytest.raises(Refused):
                on_naive()
            return
        on_naive()
        before = self.account
        self.account = change.account
        if change.hold:
            self.holds[change.hold.id] = change.hold
        self._chain(before, change)

    def _chain(self, before, change):
        """Movements are a gapless chain from the old balance to the new."""
        balance, version = before.posted, before.version
        for movement in change.movements:
            assert (movement.balance_before, movement.version) == (balance, version + 1)
            balance, version = movement.balance_after, movement.version
        assert (change.account.posted, change.account.version) == (balance, version)

    @rule(
        amount=AMOUNTS, kind=st.sampled_from([book.PAID, book.GRANTED]), days=st.sampled_from([None, 1, 2, 3])
    )
    def credit(self, amount, kind, days):
        self.number += 1
        expires = self.now + timedelta(days=days) if days else None
        new = book.Lot(uuid.UUID(int=self.number), kind, amount, amount, self.now, expires)
        order = (expires or datetime.max.replace(tzinfo=UTC), kind == book.PAID, self.now, self.number)
        self._both(
            lambda: book.credit(self.account, new, self.now),
            lambda: self.naive.credit(amount, order, expires, self.now),
        )

    @rule(amount=AMOUNTS)
    def debit(self, amount):
        self._both(
            lambda: book.debit(self.account, amount, self.now), lambda: self.naive.debit(amount, self.now)
        )

    @rule(amount=st.integers(min_value=0, max_value=60))
    def hold(self, amount):
        self.number += 1
        new = book.Hold(uuid.UUID(int=self.number), amount)
        self._both(
            lambda: book.place_hold(self.account, new, self.now),
            lambda: self.naive.hold(new.id, amount, self.now),
        )

    @rule(data=st.data(), amount=st.integers(min_value=0, max_value=90))
    def capture(self, data, amount):
        if self.holds:
            one = self.holds[data.draw(st.sampled_from(sorted(self.holds)))]
            self._both(
                lambda: book.capture(self.account, one, amount, self.now),
                lambda: self.naive.capture(one.id, amount, self.now),
            )

    @rule(data=st.data(), lost=st.booleans())
    def release(self, data, lost):
        if self.holds:
            one = self.holds[data.draw(st.sampled_from(sorted(self.holds)))]
            state = book.EXPIRED if lost else book.RELEASED
            self._both(
                lambda: book.release(self.account, one, as_state=state),
                lambda: (self.naive.sweep if lost else self.naive.release)(one.id),
            )

    @rule(hours=st.integers(min_value=-5, max_value=60))
    def clock_jumps(self, hours):
        self.now += timedelta(hours=hours)

    @invariant()
    def same_books(self):
        assert self.account.posted == self.naive.posted
        assert self.account.held == self.naive.held
        left = sorted((x["order"], x["left"]) for x in self.naive.lots if x["left"])
        assert [x.remaining for x in self.account.lots] == [amount for _, amount in left]

    @invariant()
    def lots_and_debt_are_the_balance(self):
        assert sum(x.remaining for x in self.account.lots) == max(0, self.account.posted)

    @invariant()
    def nothing_is_lost(self):
        assert self.account.posted == self.naive.credited - self.naive.spent - self.naive.broken


TestBookAgainstReference = BookAgainstReference.TestCase
TestBookAgainstReference.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
