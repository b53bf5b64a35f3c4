"""The verbs of money on PostgreSQL: once by their source, exact under concurrency, and the books sum after each."""

from datetime import timedelta

import pytest
from django.utils import timezone

from config import ids
from config.money import NANO
from ledger import book, services
from ledger.errors import (
    AnotherTenant,
    HoldNotOpen,
    InsufficientFunds,
    NotCorrectable,
    RefundTooLarge,
    Refusal,
    SourceReused,
    SpendLimitReached,
)
from ledger.models import Account, AutoTopUp, Hold, Lot, Transfer
from ledger.operations import Capture, Credit, PlaceHold, Refund
from ledger.posting import post, post_one
from ledger.services import WalletSettings
from ledger.verification import verify
from ledger.windows import Limits
from paywalls.users import UserRef
from tests.factories import make_paywall
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paywall():
    return make_paywall(trial_credit=0)


@pytest.fixture
def alice(paywall):
    return UserRef(paywall.id, "alice")


@pytest.fixture(autouse=True)
def books_sum(transactional_db):
    """Whatever a test does, the books sum after it."""
    yield
    assert list(verify()) == []


def wallet(user):
    return Account.objects.get(user__paywall_id=user.paywall_id, user__external_id=user.external_id)


def lots(user):
    return list(
        Lot.objects.filter(account=wallet(user)).order_by("created_at").values_list("remaining", flat=True)
    )


def expiring(user, amount, source, **past):
    """A grant whose time is over, as if it had been made before."""
    when = timezone.now() - timedelta(**past)
    return services.grant(user, amount, source=source, expires_at=when)


class TestGrants:
    def test_a_promotion_burns_before_what_was_paid_for(self, alice):
        services.deposit(alice, 100, source="d")
        services.grant(alice, 50, source="g", metadata={"campaign": "spring"})
        services.charge(alice, 60, source="c")
        assert lots(alice) == [90, 0]
        assert Transfer.objects.get(source="g").debit_account.kind == "promotions"

    def test_a_priority_goes_in_front(self, alice):
        services.grant(alice, 10, source="g1", expires_at=timezone.now() + timedelta(days=1))
        services.grant(alice, 10, source="g2", priority=0)
        services.charge(alice, 10, source="c")
        assert lots(alice) == [10, 0]
        with pytest.raises(ValueError, match="priority"):
            services.grant(alice, 10, source="g3", priority=101)


class TestRefunds:
    def test_a_refund_goes_back_into_the_lots_it_came_from_and_out_of_revenue(self, alice):
        services.deposit(alice, 30, source="d1")
        services.deposit(alice, 30, source="d2")
        charge = services.charge(alice, 50, source="c")
        receipt = services.refund(charge.transfer_id, 40, source="r1")
        assert (receipt.amount, receipt.balance_after, lots(alice)) == (40, 50, [20, 30])
        transfer = Transfer.objects.get(source="r1")
        assert (transfer.debit_account.kind, transfer.reverses_id) == ("revenue", charge.transfer_id)
        assert services.refund(charge.transfer_id, source="r2").amount == 10
        with pytest.raises(RefundTooLarge):
            services.refund(charge.transfer_id, source="r3")

    def test_the_same_source_refunds_once(self, alice):
        services.deposit(alice, 100, source="d")
        charge = services.charge(alice, 50, source="c")
        first = services.refund(charge.transfer_id, 20, source="r")
        again = services.refund(charge.transfer_id, 20, source="r")
        assert (again.replayed, again.transfer_id) == (True, first.transfer_id)
        with pytest.raises(SourceReused):
            services.refund(charge.transfer_id, 21, source="r")

    def test_usage_is_refunded_and_debt_shrinks_first(self, alice):
        services.deposit(alice, 100, source="d")
        hold_id = ids.new()
        post_one(PlaceHold(alice, hold_id, 100, 60))
        settled = services.settle(wallet(alice).pk, hold_id, 130)
        services.refund(settled.transfer_id, 50, source="r")
        assert (wallet(alice).posted, lots(alice)) == (20, [20])

    def test_only_charges_are_refunded_and_only_their_own_wallet(self, alice, paywall):
        deposit = services.deposit(alice, 100, source="d")
        other = services.deposit(UserRef(paywall.id, "bob"), 100, source="d2")
        charge = services.charge(alice, 10, source="c")
        with pytest.raises(NotCorrectable):
            services.refund(deposit.transfer_id, source="r")
        with pytest.raises(NotCorrectable):
            services.refund(ids.new(), source="r")
        with pytest.raises(NotCorrectable):
            post_one(Refund(other.account_id, charge.transfer_id, 5, "r"))
        assert lots(UserRef(paywall.id, "bob")) == [100]

    def test_twenty_refunds_at_once_give_back_what_was_charged_and_no_more(self, alice):
        services.deposit(alice, 100, source="d")
        charge = services.charge(alice, 100, source="c")

        def refund():
            try:
                return services.refund(charge.transfer_id, 15, source=f"r:{ids.new().hex}")
            except RefundTooLarge as refusal:
                return refusal

        outcomes = at_once(20, refund)
        assert sum(not isinstance(outcome, Refusal) for outcome in outcomes) == 6
        assert wallet(alice).posted == 90

    def test_two_refunds_in_one_batch_share_what_is_left(self, alice):
        account = services.deposit(alice, 100, source="d").account_id
        charge = services.charge(alice, 50, source="c").transfer_id
        first, second = post([Refund(account, charge, 30, "r1"), Refund(account, charge, 30, "r2")])
        assert (first.balance_after, type(second)) == (80, RefundTooLarge)

    def test_what_goes_back_into_an_expired_credit_expires_again(self, alice):
        soon = timezone.now() + timedelta(seconds=0.3)
        services.grant(alice, 50, source="g", expires_at=soon)
        charge = services.charge(alice, 50, source="c")
        while timezone.now() <= soon:
            pass
        services.refund(charge.transfer_id, source="r")
        kinds = Transfer.objects.order_by("version").values_list("kind", flat=True)
        assert list(kinds) == ["grant", "charge", "refund", "expiry"]
        assert wallet(alice).posted == 0


class TestReversals:
    def test_a_dispute_takes_the_deposit_back_and_may_leave_debt(self, alice):
        kept = services.grant(alice, 20, source="g")
        deposit = services.deposit(alice, 100, source="d")
        services.charge(alice, 90, source="c")
        receipt = services.reverse(deposit.transfer_id, source="dispute:1")
        assert (receipt.balance_after, lots(alice)) == (-70, [0, 0])
        assert Transfer.objects.get(source="dispute:1").credit_account.kind == "deposits"
        with pytest.raises(RefundTooLarge):
            services.reverse(deposit.transfer_id, 1, source="dispute:2")
        with pytest.raises(InsufficientFunds):
            post_one(PlaceHold(alice, ids.new(), 0, 60))
        assert services.deposit(alice, 80, source="d2").balance_after == 10
        assert kept

    def test_it_takes_from_the_deposits_own_lot_first(self, alice):
        services.deposit(alice, 100, source="d1")
        second = services.deposit(alice, 100, source="d2")
        services.reverse(second.transfer_id, 40, source="x")
        assert lots(alice) == [100, 60]

    def test_a_charge_of_a_reversed_deposit_is_refunded_into_the_debt(self, alice):
        deposit = services.deposit(alice, 100, source="d")
        charge = services.charge(alice, 60, source="c")
        services.reverse(deposit.transfer_id, source="x")
        assert services.refund(charge.transfer_id, source="r").balance_after == 0


class TestExpiry:
    def test_expired_credit_goes_to_breakage_once_however_often_the_job_runs(self, alice):
        services.deposit(alice, 10, source="d")
        expiring(alice, 50, "g", seconds=1)
        assert services.expire_credits() == 1
        assert services.expire_credits() == 0
        assert wallet(alice).posted == 10
        assert Transfer.objects.get(kind="expiry").credit_account.kind == "breakage"

    def test_what_an_open_hold_needs_stays_until_it_is_resolved(self, alice):
        soon = timezone.now() + timedelta(seconds=0.3)
        services.grant(alice, 50, source="g", expires_at=soon)
        hold_id = ids.new()
        post_one(PlaceHold(alice, hold_id, 30, 60))
        while timezone.now() <= soon:
            pass
        assert services.expire_credits() == 1
        assert services.expire_credits() == 0
        assert wallet(alice).posted == 30
        services.settle(wallet(alice).pk, hold_id, 25)
        assert services.expire_credits() == 1
        assert wallet(alice).posted == 0

    def test_the_job_beside_spending_loses_nothing(self, alice):
        services.deposit(alice, 1_000, source="d")
        for index in range(10):
            expiring(alice, 20, f"g{index}", seconds=1)

        def work():
            try:
                services.expire_credits()
                return services.charge(alice, 100, source=f"c:{ids.new().hex}")
            except InsufficientFunds as refusal:
                return refusal

        outcomes = at_once(16, work)
        assert sum(not isinstance(outcome, Refusal) for outcome in outcomes) == 10
        assert wallet(alice).posted == 0

    @pytest.mark.parametrize(
        ("now", "expires", "gone"),
        [
            ("2026-02-28T23:59:59.999999Z", "2026-03-01T00:00:00Z", False),
            ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", True),
            # Clocks in Berlin go from 01:59:59 to 03:00; the two moments are one.
            ("2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00", True),
            ("2026-10-25T00:30:00Z", "2026-10-25T02:30:00+01:00", False),
        ],
    )
    def test_a_months_end_and_a_clock_change_are_moments_like_any_other(self, now, expires, gone):
        from datetime import datetime

        moment, expiry = datetime.fromisoformat(now), datetime.fromisoformat(expires)
        lot = book.Lot(ids.new(), book.GRANTED, 10, 10, moment - timedelta(days=40), expiry)
        account = book.credit(book.Account(), lot, moment - timedelta(days=40)).account
        assert (book.expire(account, moment).account.posted == 0) is gone


class TestTransfers:
    def test_credit_moves_between_two_users_through_transit(self, alice, paywall):
        bob = UserRef(paywall.id, "bob")
        services.deposit(alice, 100, source="d")
        first = services.transfer(alice, bob, 40, source="t", metadata={"why": "gift"})
        again = services.transfer(alice, bob, 40, source="t")
        assert (first.balance_after, again.replayed) == (60, True)
        assert (wallet(alice).posted, wallet(bob).posted) == (60, 40)
        out, into = Transfer.objects.filter(kind="transfer").order_by("id")
        assert (out.credit_account_id, out.credit_account.kind) == (into.debit_account_id, "transit")

    def test_it_moves_both_sides_or_none(self, alice, paywall):
        bob = UserRef(paywall.id, "bob")
        services.deposit(alice, 30, source="d")
        with pytest.raises(InsufficientFunds):
            services.transfer(alice, bob, 31, source="t")
        with pytest.raises(ValueError, match="two wallets"):
            services.transfer(alice, alice, 1, source="t")
        assert not Transfer.objects.filter(kind="transfer").exists()

    def test_it_never_crosses_tenants(self, alice):
        stranger = UserRef(make_paywall(trial_credit=0).id, "alice")
        services.deposit(alice, 30, source="d")
        with pytest.raises(AnotherTenant):
            services.transfer(alice, stranger, 10, source="t")

    def test_opposite_transfers_at_once_do_not_deadlock(self, alice, paywall):
        bob = UserRef(paywall.id, "bob")
        for user in (alice, bob):
            services.deposit(user, 1_000, source=f"d:{user.external_id}")
        pairs = [(alice, bob), (bob, alice)] * 8
        at_once(16, lambda: services.transfer(*pairs.pop(), 10, source=f"t:{ids.new().hex}"))
        assert (wallet(alice).posted, wallet(bob).posted) == (1_000, 1_000)


class TestEarnings:
    def test_what_is_earned_can_be_withdrawn_and_no_more(self, alice, paywall):
        services.ensure_user(alice)
        services.earn(paywall.tenant_id, 500, source="e")
        receipt = services.withdraw(paywall.tenant_id, 300, source="w")
        assert services.withdraw(paywall.tenant_id, 300, source="w").replayed
        assert (receipt.balance_before, receipt.balance_after) == (500, 200)
        with pytest.raises(InsufficientFunds):
            services.withdraw(paywall.tenant_id, 201, source="w2")

    def test_a_tenant_without_books_has_earned_nothing(self, paywall):
        with pytest.raises(InsufficientFunds):
            services.withdraw(paywall.tenant_id, 1, source="w")


class TestAdjustments:
    def test_an_operator_adds_and_takes_with_a_reason(self, alice):
        services.adjust(alice, 50, source="a1", reason="goodwill", actor="root")
        services.adjust(alice, -20, source="a2", reason="typo", actor="root")
        assert wallet(alice).posted == 30
        assert Transfer.objects.get(source="a2").metadata == {"reason": "typo", "actor": "root"}

    @pytest.mark.parametrize(("amount", "reason", "actor"), [(0, "x", "y"), (5, " ", "y"), (5, "x", "")])
    def test_not_without_an_amount_a_reason_and_who(self, alice, amount, reason, actor):
        with pytest.raises(ValueError, match="adjustment"):
            services.adjust(alice, amount, source="a", reason=reason, actor=actor)

    def test_it_makes_no_debt(self, alice):
        with pytest.raises(InsufficientFunds):
            services.adjust(alice, -1, source="a", reason="x", actor="y")


class TestAppHolds:
    def test_a_capture_charges_and_frees_the_rest(self, alice):
        services.deposit(alice, 100, source="d")
        hold_id = ids.new()
        services.hold(alice, 80, hold_id=hold_id, seconds=60)
        held = Hold.objects.get(pk=hold_id)
        services.capture(held, 30)
        assert services.capture(held, 30).replayed
        with pytest.raises(HoldNotOpen):
            services.capture(held, 31)
        with pytest.raises(HoldNotOpen):
            services.release(held)
        assert (wallet(alice).posted, wallet(alice).held) == (70, 0)
        assert Transfer.objects.get(request_id=hold_id).kind == "charge"

    def test_one_that_expires_is_no_lost_request(self, alice):
        services.deposit(alice, 100, source="d")
        hold_id = ids.new()
        services.hold(alice, 80, hold_id=hold_id, seconds=-1)
        assert services.sweep_stale_holds() == 1
        held = Hold.objects.get(pk=hold_id)
        assert not hasattr(held, "reconciliation")
        with pytest.raises(HoldNotOpen):
            services.capture(held, 10)


class TestSettings:
    def test_a_days_limit_refuses_more_whatever_the_balance(self, alice):
        services.deposit(alice, 10 * NANO, source="d")
        services.charge(alice, 60, source="c0")
        services.configure_wallet(alice, WalletSettings(limits=Limits(day=100)))
        services.charge(alice, 40, source="c1")
        with pytest.raises(SpendLimitReached) as refused:
            services.charge(alice, 1, source="c2")
        assert (refused.value.used, refused.value.limit) == (100, 100)
        with pytest.raises(SpendLimitReached):
            post_one(PlaceHold(alice, ids.new(), 1, 60))

    def test_a_wallets_own_limit_beats_the_default(self, alice):
        services.deposit(alice, 1_000, source="d")
        with pytest.raises(SpendLimitReached):
            services.charge(alice, 51, source="c", limits=Limits(day=50))
        services.configure_wallet(alice, WalletSettings(limits=Limits(day=200)))
        services.charge(alice, 51, source="c", limits=Limits(day=50))

    def test_twenty_charges_at_once_stay_within_the_limit(self, alice):
        services.deposit(alice, 1_000, source="d")
        services.configure_wallet(alice, WalletSettings(limits=Limits(month=100)))

        def charge():
            try:
                return services.charge(alice, 15, source=f"c:{ids.new().hex}")
            except SpendLimitReached as refusal:
                return refusal

        paid = [outcome for outcome in at_once(20, charge) if not isinstance(outcome, Refusal)]
        assert len(paid) == 6

    def test_settings_are_kept_and_replaced_whole(self, alice):
        first = WalletSettings(Limits(5, 50), low_balance=10, topup_amount=20, topup_month_limit=100)
        services.configure_wallet(alice, first)
        assert services.wallet_settings(alice) == first
        services.configure_wallet(alice, WalletSettings())
        assert services.wallet_settings(alice) == WalletSettings()
        assert not AutoTopUp.objects.exists()


class TestLowBalance:
    def crossings(self, monkeypatch):
        """What the batches tell, as who writes events sees it."""
        from ledger import state

        told = []
        watch = state.State.watch

        def listening(self, wallet):
            before = len(self.crossings)
            watch(self, wallet)
            told.extend(self.crossings[before:])

        monkeypatch.setattr(state.State, "watch", listening)
        return told

    def test_falling_below_the_threshold_happens_once_until_it_was_above_again(self, alice, monkeypatch):
        told = self.crossings(monkeypatch)
        services.deposit(alice, 100, source="d")
        services.configure_wallet(alice, WalletSettings(low_balance=50))
        services.charge(alice, 50, source="c1")
        assert told == []
        services.charge(alice, 1, source="c2")
        services.charge(alice, 1, source="c3")
        assert [(one.balance, one.threshold) for one in told] == [(49, 50)]
        services.deposit(alice, 10, source="d2")
        services.charge(alice, 20, source="c4")
        assert [one.balance for one in told] == [49, 38]
        assert wallet(alice).is_low

    def test_down_up_and_down_in_one_batch_are_two_crossings(self, alice, monkeypatch):
        told = self.crossings(monkeypatch)
        account = services.deposit(alice, 100, source="d").account_id
        services.configure_wallet(alice, WalletSettings(low_balance=50))
        post_one(PlaceHold(account, (one := ids.new()), 60, 60))
        post_one(PlaceHold(account, (two := ids.new()), 10, 60))
        post(
            [
                Capture(account, one, 60, "u1"),
                Credit(account, 20, "d2", "deposit", "deposits"),
                Capture(account, two, 15, "u2"),
            ]
        )
        assert [change.balance for change in told] == [40, 45]
