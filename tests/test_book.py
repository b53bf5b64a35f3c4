"""The pure rules of one account: enumerated edges. Any sequence of operations is in `test_book_machine.py`."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import book, corrections
from ledger.corrections import Original
from ledger.errors import (
    BalanceTooLarge,
    HoldNotOpen,
    InsufficientFunds,
    RefundTooLarge,
    SpendLimitReached,
)
from ledger.windows import Limits, Windows

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
        for _ in range(1_000_000):
            account = book.debit(account, 3, NOW).account
        assert account.posted == 10**9 - 3_000_000
        assert account.version == 1_000_001


class TestBurns:
    @given(
        lots=st.lists(st.tuples(st.integers(1, 9), st.sampled_from([None, NOW, LATER])), max_size=4),
        held=st.integers(0, 5),
        amounts=st.lists(st.integers(1, 9), max_size=6),
        overdraw=st.booleans(),
    )
    def test_many_at_once_are_what_one_after_the_other_is(self, lots, held, amounts, overdraw):
        account = wallet(
            *(lot(size, expires_at=end, number=number) for number, (size, end) in enumerate(lots))
        )
        account = account._replace(held=min(held, account.posted))
        one_by_one, expired, each = account, (), []
        for amount in amounts:
            try:
                change = (book.owe if overdraw else book.debit)(one_by_one, amount, NOW)
            except InsufficientFunds as refusal:
                each.append((refusal.required, refusal.available))
                # A refusal changes nothing, not even what has expired by then.
                change = book.expire(one_by_one, NOW)
            else:
                each.append(change.asked)
            one_by_one = change.account
            expired += tuple(movement for movement in change.movements if movement.expired)
        together, found = book.burn_each(account, amounts, NOW, overdraw=overdraw)
        found = [
            (one.required, one.available) if isinstance(one, InsufficientFunds) else one for one in found
        ]
        assert found == each
        if amounts:
            assert (together.account, together.movements) == (one_by_one, expired)

    def test_a_debt_beyond_all_measure_is_refused_by_itself(self):
        most = book.MAX_BALANCE
        change, [first, second, third] = book.burn_each(wallet(), [most, 1, most], NOW, overdraw=True)
        assert (first.balance_after, change.account.posted) == (-most, -most)
        assert isinstance(second, BalanceTooLarge)
        assert isinstance(third, BalanceTooLarge)


class TestPriority:
    def test_a_smaller_priority_burns_before_whatever_expires_sooner(self):
        first = lot(10, number=1)._replace(priority=10)
        soon = lot(10, number=2, expires_at=SOON)
        last = lot(10, number=3, expires_at=SOON)._replace(priority=90)
        change = book.debit(wallet(last, soon, first), 25, NOW)
        assert [lot_id.int for lot_id, _ in change.movements[0].lots] == [1, 2, 3]

    def test_an_expired_lot_goes_wherever_it_stands_in_the_order(self):
        account = wallet(lot(10, number=1)._replace(priority=10), lot(20, number=2, expires_at=SOON))
        assert book.expire(account, SOON).account.posted == 10


def original(change, account, refunded=0):
    """The charge that a change made, as a refund sees it; `account` was before it."""
    lots = {one.id: one for one in account.lots}
    parts = tuple((lots[lot_id], -part) for lot_id, part in change.asked.lots)
    return Original(-change.asked.amount, parts, refunded)


class TestRefunds:
    def test_a_part_comes_back_as_if_the_charge_had_been_smaller(self):
        before = wallet(lot(30, expires_at=LATER), lot(30, number=2))
        charged = book.debit(before, 50, NOW)
        given = corrections.refund(charged.account, original(charged, before), 40, NOW, uuid.uuid4())
        assert [(x.id.int, x.remaining) for x in given.account.lots] == [(0, 20), (2, 30)]
        rest = corrections.refund(given.account, original(charged, before, 40), 10, NOW, uuid.uuid4())
        assert rest.account.lots == before.lots

    def test_never_more_than_was_charged(self):
        before = wallet(lot(100))
        charged = book.debit(before, 50, NOW)
        with pytest.raises(RefundTooLarge) as refused:
            corrections.refund(charged.account, original(charged, before, 30), 21, NOW, uuid.uuid4())
        assert refused.value.left == 20

    def test_what_had_been_debt_reduces_debt(self):
        before = wallet(lot(10))
        held = book.place_hold(before, hold(10), NOW)
        charged = book.capture(held.account, held.hold, 25, NOW)
        given = corrections.refund(charged.account, original(charged, before), 20, NOW, uuid.uuid4())
        assert given.account.posted == 5
        assert [x.remaining for x in given.account.lots] == [5]

    def test_debt_that_was_paid_since_comes_back_as_granted_credit(self):
        before = wallet(lot(10))
        held = book.place_hold(before, hold(10), NOW)
        charged = book.capture(held.account, held.hold, 25, NOW)
        paid = book.credit(charged.account, lot(15, number=3), NOW).account
        fresh = uuid.uuid4()
        given = corrections.refund(paid, original(charged, before), 25, NOW, fresh)
        assert sorted((x.id, x.kind, x.remaining) for x in given.account.lots) == sorted(
            [(fresh, book.GRANTED, 15), (uuid.UUID(int=0), book.PAID, 10)]
        )

    def test_debt_takes_the_last_burned_first_so_that_what_expires_sooner_comes_back(self):
        before = wallet(lot(30, expires_at=LATER), lot(30, number=2))
        held = book.place_hold(before, hold(0), NOW)
        charged = book.debit(held.account, 60, NOW)
        owing = book.capture(charged.account, held.hold, 20, NOW).account
        given = corrections.refund(owing, original(charged, before), 60, NOW, uuid.uuid4())
        assert [(x.id.int, x.remaining) for x in given.account.lots] == [(0, 30), (2, 10)]

    def test_what_goes_back_into_an_expired_lot_expires_again(self):
        before = wallet(lot(50, expires_at=SOON), lot(10, number=2))
        charged = book.debit(before, 40, NOW)
        given = corrections.refund(charged.account, original(charged, before), 40, LATER, uuid.uuid4())
        assert [movement.amount for movement in given.movements] == [-10, 40, -40]
        assert given.account.posted == 10


class TestReversals:
    def test_the_deposits_own_lot_gives_first_then_the_others_then_debt(self):
        account = wallet(lot(30, number=1), lot(50, number=2))
        credit = Original(50, ((lot(50, number=2), 50),))
        change = corrections.reverse(account, credit, 50, NOW)
        assert change.movements[0].lots == ((uuid.UUID(int=2), -50),)
        spent = book.debit(account, 70, NOW).account
        assert corrections.reverse(spent, credit, 50, NOW).account.posted == -40

    def test_never_more_than_came(self):
        with pytest.raises(RefundTooLarge):
            corrections.reverse(wallet(lot(50)), Original(50, (), 20), 31, NOW)


class TestTransfers:
    def test_each_part_keeps_its_kind_priority_and_expiry(self):
        payer = wallet(lot(30, kind=book.TRIAL, expires_at=LATER), lot(30, number=2))
        paid, received = book.transfer(payer, book.Account(), 40, NOW, uuid.uuid4)
        assert (paid.account.posted, received.account.posted) == (20, 40)
        assert [(x.kind, x.expires_at, x.remaining) for x in received.account.lots] == [
            (book.TRIAL, LATER, 30),
            (book.PAID, None, 10),
        ]

    def test_it_takes_nothing_that_is_held(self):
        held = book.place_hold(wallet(lot(30)), hold(20), NOW).account
        with pytest.raises(InsufficientFunds):
            book.transfer(held, book.Account(), 11, NOW, uuid.uuid4)


class TestSpendWindows:
    LIMITS = Limits(day=100, month=150)

    def test_a_hold_counts_at_once_and_its_settlement_corrects_it(self):
        account = wallet(lot(1_000))
        held = book.place_hold(account, hold(80), NOW, self.LIMITS)
        with pytest.raises(SpendLimitReached) as refused:
            book.place_hold(held.account, hold(21, 2), NOW, self.LIMITS)
        assert (refused.value.period, refused.value.limit, refused.value.used) == ("day", 100, 80)
        assert refused.value.resets_at == datetime(2026, 3, 1, tzinfo=UTC)
        settled = book.capture(held.account, held.hold, 30, NOW).account
        book.place_hold(settled, hold(70, 2), NOW, self.LIMITS)

    def test_a_settlement_after_midnight_counts_in_the_day_of_its_hold(self):
        """A daily limit at 23:59:59; the next day is as if nothing had happened."""
        midnight = NOW + timedelta(seconds=1)
        held = book.place_hold(wallet(lot(1_000)), hold(100), NOW, self.LIMITS)
        today = book.place_hold(held.account, hold(60, 2), midnight, self.LIMITS)
        assert today.account.windows == Windows(midnight.date(), 60, 60)
        settled = book.capture(today.account, held.hold, 90, midnight).account
        assert settled.windows == today.account.windows
        book.place_hold(settled, hold(40, 3), midnight, self.LIMITS)

    def test_a_settlement_over_midnight_counts_in_the_month_it_shares(self):
        late = datetime(2026, 3, 10, 23, 59, 59, tzinfo=UTC)
        held = book.place_hold(wallet(lot(1_000)), hold(100), late, self.LIMITS)
        today = book.place_hold(held.account, hold(1, 2), late + timedelta(seconds=1), self.LIMITS).account
        settled = book.capture(today, held.hold, 90, late + timedelta(seconds=2)).account
        assert (settled.windows.day_used, settled.windows.month_used) == (1, 91)
        with pytest.raises(SpendLimitReached) as refused:
            book.charge(settled, 60, late + timedelta(seconds=2), self.LIMITS)
        assert (refused.value.period, refused.value.resets_at) == ("month", datetime(2026, 4, 1, tzinfo=UTC))

    def test_what_is_released_or_swept_gives_its_room_back(self):
        held = book.place_hold(wallet(lot(1_000)), hold(100), NOW, self.LIMITS)
        for state in (book.RELEASED, book.EXPIRED):
            assert book.release(held.account, held.hold, as_state=state).account.windows.day_used == 0

    def test_a_clock_that_is_set_back_opens_no_new_window(self):
        spent = book.charge(wallet(lot(1_000)), 100, NOW, self.LIMITS).account
        with pytest.raises(SpendLimitReached):
            book.charge(spent, 1, NOW - timedelta(days=1), self.LIMITS)

    def test_a_limit_of_nothing_lets_nothing_pass(self):
        with pytest.raises(SpendLimitReached):
            book.charge(wallet(lot(10)), 1, NOW, Limits(day=0))
