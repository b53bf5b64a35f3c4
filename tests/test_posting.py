"""`post()`: batches in one transaction, idempotent by source, exact under concurrency."""

import uuid

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import ids
from ledger import book, services
from ledger.errors import (
    BalanceTooLarge,
    ConfigChanged,
    HoldNotOpen,
    InsufficientFunds,
    Refusal,
    SourceReused,
    UnknownPaywall,
)
from ledger.models import Account, Hold, Lot, Transfer
from ledger.operations import Capture, Credit, Debit, Guard, Held, OpenWallet, PlaceHold, Release
from ledger.posting import post, post_one
from ledger.verification import verify
from paywalls.models import EndUser
from paywalls.users import UserRef
from tests.factories import make_paywall
from tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paywall():
    return make_paywall(trial_credit=0)


@pytest.fixture(autouse=True)
def books_sum(transactional_db):
    """Whatever a test does, the books sum after it."""
    yield
    assert list(verify()) == []


def alice(paywall):
    return UserRef(paywall.id, "alice")


def funded(paywall, amount):
    """Alice's wallet with so many nano-dollars; its key."""
    return services.deposit(alice(paywall), amount, source=f"deposit:{ids.new().hex}").account_id


def credit(wallet, amount, source=None, **more):
    return Credit(wallet, amount, source or f"deposit:{ids.new().hex}", "deposit", "deposits", **more)


def debit(wallet, amount, source=None):
    return Debit(wallet, amount, source or f"charge:{ids.new().hex}", "charge", "revenue")


class TestOneOperation:
    def test_a_charge_moves_money_from_the_wallet_to_revenue(self, paywall):
        wallet = funded(paywall, 1_000)
        receipt = services.charge(alice(paywall), 300, source="charge:1", metadata={"why": "tea"})
        assert (receipt.balance_before, receipt.balance_after, receipt.replayed) == (1_000, 700, False)
        transfer = Transfer.objects.get(source="charge:1")
        assert transfer.debit_account_id == wallet
        assert transfer.credit_account.kind == "revenue"
        assert (transfer.amount, transfer.version, transfer.metadata) == (300, 2, {"why": "tea"})
        assert Account.objects.get(pk=wallet).posted == 700

    def test_the_same_source_moves_money_once_and_answers_the_same(self, paywall):
        funded(paywall, 1_000)
        first = services.charge(alice(paywall), 300, source="charge:1", metadata={"n": 1})
        again = services.charge(alice(paywall), 300, source="charge:1", metadata={"n": 2})
        assert again.replayed
        assert (again.transfer_id, again.balance_after, again.metadata) == (first.transfer_id, 700, {"n": 1})

    def test_the_same_source_with_another_effect_is_refused(self, paywall):
        funded(paywall, 1_000)
        services.charge(alice(paywall), 300, source="charge:1")
        with pytest.raises(SourceReused):
            services.charge(alice(paywall), 301, source="charge:1")
        with pytest.raises(SourceReused):
            services.charge(UserRef(paywall.id, "bob"), 300, source="charge:1")
        with pytest.raises(SourceReused):
            services.deposit(alice(paywall), 300, source="charge:1")

    def test_what_does_not_fit_changes_nothing(self, paywall):
        funded(paywall, 100)
        with pytest.raises(InsufficientFunds) as refused:
            services.charge(alice(paywall), 101, source="charge:1")
        assert (refused.value.required, refused.value.available) == (101, 100)
        assert Transfer.objects.count() == 1
        # The source was not claimed by the refusal.
        assert services.charge(alice(paywall), 100, source="charge:1").balance_after == 0

    def test_a_balance_over_the_limit_is_refused(self, paywall):
        funded(paywall, 1)
        with pytest.raises(BalanceTooLarge):
            services.deposit(alice(paywall), book.MAX_BALANCE, source="deposit:big")

    def test_an_unknown_paywall_is_refused_and_leaves_no_user(self, paywall):
        with pytest.raises(UnknownPaywall):
            services.deposit(UserRef(uuid.uuid4(), "alice"), 1, source="deposit:1")
        assert not EndUser.objects.exists()

    def test_a_hold_decided_on_an_older_configuration_is_refused(self, paywall):
        wallet = funded(paywall, 100)
        paywall.refresh_from_db()
        stale = Guard(paywall.id, paywall.config_version - 1)
        with pytest.raises(ConfigChanged):
            post_one(PlaceHold(wallet, ids.new(), 10, 60, stale))
        assert isinstance(
            post_one(PlaceHold(wallet, ids.new(), 10, 60, Guard(paywall.id, paywall.config_version))), Held
        )


class TestWallets:
    def test_a_new_user_gets_wallet_and_trial_with_the_first_operation(self):
        paywall = make_paywall(trial_credit=50)
        receipt = services.charge(alice(paywall), 20, source="charge:1")
        assert receipt.balance_after == 30
        assert list(Transfer.objects.order_by("version").values_list("kind", flat=True)) == [
            "trial",
            "charge",
        ]
        assert Lot.objects.get().kind == "trial"

    def test_64_first_operations_at_once_make_one_user_one_wallet_one_trial(self):
        paywall = make_paywall(trial_credit=50)
        outcomes = in_threads(16, lambda _: post([OpenWallet(alice(paywall)) for _ in range(4)]))
        assert len({outcome.account_id for batch in outcomes for outcome in batch}) == 1
        assert EndUser.objects.count() == 1
        assert Transfer.objects.get().amount == 50

    def test_the_same_id_in_two_paywalls_is_two_people(self, paywall):
        other = make_paywall(trial_credit=0)
        funded(paywall, 100)
        with pytest.raises(InsufficientFunds):
            services.charge(UserRef(other.id, "alice"), 1, source="charge:1")

    def test_new_users_in_opposite_orders_do_not_deadlock(self, paywall):
        refs = [UserRef(paywall.id, f"user-{index}") for index in range(60)]

        def work(index):
            ordered = refs if index % 2 else refs[::-1]
            return post([credit(ref, 10, f"deposit:{index}:{ref.external_id}") for ref in ordered])

        in_threads(6, work)
        assert set(Account.objects.filter(kind="wallet").values_list("posted", flat=True)) == {60}


class TestBatches:
    def test_one_that_does_not_fit_never_refuses_its_neighbours(self, paywall):
        wallet = funded(paywall, 100)
        outcomes = post([debit(wallet, 60), debit(wallet, 60), debit(wallet, 40)])
        assert [isinstance(outcome, Refusal) for outcome in outcomes] == [False, True, False]
        assert Account.objects.get(pk=wallet).posted == 0

    def test_a_source_twice_in_one_batch_counts_once(self, paywall):
        wallet = funded(paywall, 100)
        first, second = post([debit(wallet, 60, "charge:x"), debit(wallet, 60, "charge:x")])
        assert (first.replayed, second.replayed) == (False, True)
        assert first.transfer_id == second.transfer_id

    def test_the_number_of_statements_does_not_grow_with_the_batch(self, paywall, django_assert_num_queries):
        refs = [UserRef(paywall.id, f"user-{index}") for index in range(200)]
        post([credit(ref, 100) for ref in refs])
        # SET LOCAL lock_timeout, find wallets, lock, lots, known sources, who listens, then accounts, lots,
        # transfers; and the transaction's own two.
        for size in (1, 200):
            with django_assert_num_queries(9 + 2):
                post([debit(ref, 1) for ref in refs[:size]])

    def test_a_batch_that_fails_half_way_leaves_nothing(self, paywall):
        wallet = funded(paywall, 100)
        broken = Debit(wallet, 1, "charge:2", "charge", "revenue", {"text": "\0"})
        with pytest.raises(DatabaseError):
            post([debit(wallet, 10, "charge:1"), broken])
        assert Account.objects.get(pk=wallet).posted == 100
        assert post_one(debit(wallet, 10, "charge:1")).balance_after == 90

    def test_overlapping_batches_of_1000_with_duplicates_a_failure_and_a_retry_post_each_once(self, paywall):
        refs = [UserRef(paywall.id, f"user-{index % 40}") for index in range(1_000)]
        batch = [credit(ref, 7, f"event:{index % 900}:{ref.external_id}") for index, ref in enumerate(refs)]
        broken = Debit(refs[0], 1, "charge:x", "charge", "revenue", {"text": "\0"})
        sources = {op.source for op in batch}

        def work(index):
            ordered = batch if index % 2 else batch[::-1]
            with pytest.raises(DatabaseError):
                post([*ordered[:500], broken, *ordered[500:]])
            return post(ordered)

        in_threads(4, work)
        assert Transfer.objects.filter(source__in=sources).count() == len(sources)
        assert sum(Account.objects.filter(kind="wallet").values_list("posted", flat=True)) == 7 * len(sources)

    def test_inside_the_callers_transaction_it_commits_or_rolls_back_with_it(self, paywall):
        wallet = funded(paywall, 100)
        with transaction.atomic():
            post_one(debit(wallet, 10, "charge:1"))
            transaction.set_rollback(True)
        assert not Transfer.objects.filter(source="charge:1").exists()


class TestHolds:
    def test_a_hold_reserves_and_a_capture_charges_and_frees_the_rest(self, paywall):
        wallet, hold_id = funded(paywall, 100), ids.new()
        post_one(PlaceHold(wallet, hold_id, 80, 60))
        with pytest.raises(InsufficientFunds):
            services.charge(alice(paywall), 21, source="charge:1")
        settled = post_one(Capture(wallet, hold_id, 30, f"usage:{hold_id.hex}"))
        assert (settled.captured, settled.balance_after) == (30, 70)
        account = Account.objects.get(pk=wallet)
        assert (account.posted, account.held) == (70, 0)
        assert Transfer.objects.get(request_id=hold_id).kind == "usage"

    def test_a_settlement_over_the_hold_writes_and_the_debt_blocks_the_next(self, paywall):
        wallet, hold_id = funded(paywall, 100), ids.new()
        post_one(PlaceHold(wallet, hold_id, 80, 60))
        assert post_one(Capture(wallet, hold_id, 130, "usage:1")).balance_after == -30
        with pytest.raises(InsufficientFunds):
            post_one(PlaceHold(wallet, ids.new(), 0, 60))
        assert services.deposit(alice(paywall), 50, source="deposit:2").balance_after == 20

    def test_settling_twice_charges_once(self, paywall):
        wallet, hold_id = funded(paywall, 100), ids.new()
        post_one(PlaceHold(wallet, hold_id, 80, 60))
        capture = Capture(wallet, hold_id, 30, "usage:1")
        first, second = post([capture, capture])
        third = post_one(capture)
        assert (first.replayed, second.replayed, third.replayed) == (False, True, True)
        assert third.captured == 30

    def test_the_same_request_holds_once(self, paywall):
        wallet, hold_id = funded(paywall, 100), ids.new()
        place = PlaceHold(wallet, hold_id, 80, 60)
        assert not post_one(place).replayed
        assert post_one(place).replayed
        assert Account.objects.get(pk=wallet).held == 80

    def test_capture_release_and_sweeper_race_and_one_wins(self, paywall):
        wallet = funded(paywall, 10_000)
        for _ in range(10):
            hold_id = ids.new()
            post_one(PlaceHold(wallet, hold_id, 80, -1))
            contest = [
                lambda h=hold_id: post([Release(wallet, h)]),
                lambda h=hold_id: post([Capture(wallet, h, 30, f"usage:{h.hex}")]),
                services.sweep_stale_holds,
            ]
            in_threads(3, lambda index, contest=contest: contest[index]())
            hold = Hold.objects.get(pk=hold_id)
            charged = Transfer.objects.filter(request_id=hold_id).count()
            assert (hold.state, charged) in [("captured", 1), ("released", 0), ("expired", 0)]
        assert Account.objects.get(pk=wallet).held == 0

    def test_the_sweeper_takes_only_what_is_overdue(self, paywall):
        wallet, stale, live = funded(paywall, 100), ids.new(), ids.new()
        post([PlaceHold(wallet, stale, 10, -1), PlaceHold(wallet, live, 20, 60)])
        assert services.sweep_stale_holds() == 1
        assert services.sweep_stale_holds() == 0
        assert Hold.objects.get(pk=stale).state == "expired"
        assert Account.objects.get(pk=wallet).held == 20

    def test_a_hold_of_another_wallet_cannot_be_settled(self, paywall):
        wallet, hold_id = funded(paywall, 100), ids.new()
        other = services.deposit(UserRef(paywall.id, "bob"), 100, source="deposit:bob").account_id
        post_one(PlaceHold(wallet, hold_id, 10, 60))
        with pytest.raises(HoldNotOpen):
            post_one(Capture(other, hold_id, 10, "usage:1"))


class TestConcurrency:
    def test_funds_for_one_of_50_charges_pay_for_one(self, paywall):
        wallet = funded(paywall, 100)
        outcomes = in_threads(25, lambda _: post([debit(wallet, 100), debit(wallet, 100)]))
        paid = [outcome for batch in outcomes for outcome in batch if not isinstance(outcome, Refusal)]
        assert len(paid) == 1
        assert Account.objects.get(pk=wallet).posted == 0

    def test_one_source_50_times_at_once_has_one_effect(self, paywall):
        wallet = funded(paywall, 1_000)
        outcomes = in_threads(
            25, lambda _: post([debit(wallet, 7, "charge:x"), debit(wallet, 7, "charge:x")])
        )
        assert len({outcome.transfer_id for batch in outcomes for outcome in batch}) == 1
        assert Account.objects.get(pk=wallet).posted == 993

    def test_one_source_for_two_wallets_at_once_moves_one(self, paywall):
        wallets = [
            services.deposit(UserRef(paywall.id, f"user-{index}"), 100, source=f"deposit:{index}").account_id
            for index in range(8)
        ]
        outcomes = in_threads(8, lambda index: post([debit(wallets[index], 5, "charge:x")])[0])
        assert sum(isinstance(outcome, SourceReused) for outcome in outcomes) == 7


class TestTransfersAreImmutable:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE ledger_transfer SET amount = amount + 1",
            "DELETE FROM ledger_transfer",
            "TRUNCATE ledger_transfer CASCADE",
        ],
    )
    def test_raw_sql_is_refused(self, paywall, statement):
        funded(paywall, 100)
        with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
            cursor.execute(statement)

    def test_the_orm_is_refused(self, paywall):
        funded(paywall, 100)
        transfer = Transfer.objects.get()
        transfer.amount = 1
        for change in (transfer.save, transfer.delete, Transfer.objects.all().delete):
            with pytest.raises(DatabaseError, match="append-only"):
                change()


WALLETS = st.sampled_from(["alice", "bob"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("credit"), WALLETS, st.integers(1, 60), st.sampled_from([None, "past", "future"])),
        st.tuples(st.just("debit"), WALLETS, st.integers(1, 60)),
        st.tuples(st.just("hold"), WALLETS, st.integers(0, 60)),
        st.tuples(st.just("capture"), st.integers(0, 20), st.integers(0, 90)),
        st.tuples(st.just("release"), st.integers(0, 20)),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, size=st.integers(1, 12))
def test_any_operations_in_any_batches_give_the_books_of_the_pure_rules(steps, size):
    """PostgreSQL and the pure book agree, however the operations fall into batches."""
    from tests.pure_books import PureBooks

    paywall = make_paywall(trial_credit=0)
    pure = PureBooks(paywall.id)
    operations = pure.operations(steps)
    outcomes = [o for at in range(0, len(operations), size) for o in post(operations[at : at + size])]
    assert [type(outcome) for outcome in outcomes] == pure.expected
    for name, account in pure.accounts.items():
        row = Account.objects.get(user__paywall=paywall, user__external_id=name)
        assert (row.posted, row.held, row.version) == (account.posted, account.held, account.version)
        lots = Lot.objects.filter(account=row, remaining__gt=0).order_by("created_at", "id")
        assert sorted(lots.values_list("remaining", flat=True)) == sorted(x.remaining for x in account.lots)


def test_the_accounts_of_transfers_stay(paywall):
    funded(paywall, 5)
    transfer = Transfer.objects.get()
    for account in (transfer.wallet_id, transfer.debit_account_id):
        with pytest.raises(IntegrityError, match="transfers name account"), transaction.atomic():
            connection.cursor().execute("DELETE FROM ledger_account WHERE id = %s", [account])
    stranger = ids.new()
    values = {field.attname: getattr(transfer, field.attname) for field in Transfer._meta.concrete_fields}
    values |= {"id": ids.new(), "source": "other", "version": 2, "debit_account_id": stranger}
    with pytest.raises(IntegrityError, match=f"{stranger}, which is not there"), transaction.atomic():
        Transfer.objects.create(**values)
