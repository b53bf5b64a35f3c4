"""One wallet for all shared paywalls: who may spend from it, how much, and who earns what."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from config import ids
from config.money import NANO
from ledger import export, queries, services
from ledger.errors import InsufficientFunds, NotConnected, SpendLimitReached
from ledger.models import Account, Hold, Settlement, Split, Transfer, Withdrawal
from ledger.operations import Capture, Held, PlaceHold, Resolved
from ledger.posting import post, post_one
from ledger.services.withdrawals import WrongState
from ledger.splits import COST, Parts, given_back, shared_out
from ledger.verification import RULES
from paywalls import connections, signin
from paywalls.models import AuthorizationRequest, Connection, EndUser, Paywall, WalletUser
from paywalls.users import UserRef
from tests.factories import make_connection, make_paywall, make_wallet_user
from tests.payments import broken_rules
from tests.threads import at_once, in_threads

pytestmark = pytest.mark.django_db

# Threads have connections of their own, and see only what is committed.
in_real_transactions = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _books_sum(settings, db):
    settings.PLATFORM_FEE_PERCENT = Decimal("10")
    yield
    assert broken_rules(RULES) == []


@pytest.fixture
def person():
    """Ten dollars in a wallet."""
    return make_wallet_user(balance=10 * NANO)


@pytest.fixture
def alice():
    return UserRef(make_paywall(mode="shared").pk, "alice")


def balance(person):
    return queries.balance_of(signin.wallet_ref(person)).available


class TestConnecting:
    def test_somebody_unknown_spends_nothing(self, alice):
        with pytest.raises(NotConnected):
            services.charge(alice, 1, source="c")
        assert not Transfer.objects.exists()
        assert not EndUser.objects.filter(external_id="alice").exists()

    def test_two_paywalls_spend_from_one_wallet(self, person, alice):
        bob = UserRef(make_paywall(mode="shared").pk, "bob")
        for user in (alice, bob):
            make_connection(user, person)
            services.charge(user, 4 * NANO, source=f"c:{user.external_id}")
        assert balance(person) == 2 * NANO
        assert queries.balance_of(alice).available == queries.balance_of(bob).available == 2 * NANO
        with pytest.raises(InsufficientFunds):
            services.charge(bob, 3 * NANO, source="c:more")

    def test_an_app_sees_what_its_own_paywall_charged_and_nothing_else(self, person, alice):
        bob = UserRef(make_paywall(mode="shared").pk, "bob")
        for number, user in enumerate((alice, bob)):
            make_connection(user, person)
            services.charge(user, (number + 1) * NANO, source=f"c:{number}")
        [seen] = queries.transactions_of(bob, limit=10).transfers
        assert (seen.kind, seen.amount) == ("charge", 2 * NANO)

    def test_the_export_lists_what_the_paywall_charged_and_nothing_else_of_the_wallet(self, person, alice):
        other = UserRef(make_paywall(mode="shared").pk, "other")
        made = {}
        for user in (alice, other):
            make_connection(user, person)
            made[user] = services.charge(user, NANO, source=f"c:{user.external_id}", metadata={"order": 7})
        services.refund(made[alice].transfer_id, NANO // 4, source="r")
        connections.end(connections.live(alice))
        paywall = Paywall.objects.get(pk=alice.paywall_id)
        selection = export.Selection(paywall.tenant_id, paywall.pk)
        charge, refund = [
            json.loads(line) for line in b"".join(export.chunks(selection, "jsonl")).splitlines()
        ]
        assert (charge["kind"], charge["user"], charge["amount"], charge["metadata"]["order"]) == (
            "charge",
            "alice",
            "-1",
            7,
        )
        assert (refund["kind"], refund["amount"], refund["reverses"]) == (
            "refund",
            "0.25",
            charge["activity_id"],
        )
        # The balance is of the person's wallet, from which others are paid as well.
        assert {
            line[field] for line in (charge, refund) for field in ("balance_before", "balance_after")
        } == {""}
        moment = Transfer.objects.get(kind="refund").created_at
        for since, until, kind in ((moment, None, b"refund"), (None, moment, b"charge")):
            some = export.Selection(paywall.tenant_id, paywall.pk, since, until)
            _, line = b"".join(export.chunks(some, "csv")).splitlines()
            assert line.split(b",")[2] == kind

    def test_the_export_comes_in_pages(self, person, alice, monkeypatch):
        monkeypatch.setattr(export, "PAGE", 2)
        make_connection(alice, person)
        for number in range(5):
            services.charge(alice, 1, source=f"c:{number}")
        paywall = Paywall.objects.get(pk=alice.paywall_id)
        chunks = list(export.chunks(export.Selection(paywall.tenant_id, paywall.pk), "jsonl"))
        sources = [json.loads(line)["source"] for line in b"".join(chunks).splitlines()]
        assert (len(chunks), sources) == (3, [f"c:{number}" for number in range(5)])

    def test_a_link_connects_once(self, person, alice):
        token = connections.link_for(alice).rpartition("/")[2]
        connections.approve(connections.open_request(token), person, None)
        with pytest.raises(connections.RequestIsOver):
            connections.approve(connections.open_request(token), make_wallet_user("other@home.test"), None)
        assert Connection.objects.count() == 1

    def test_a_link_is_bound_to_one_user_and_can_not_be_altered(self, person, alice):
        token = connections.link_for(alice).rpartition("/")[2]
        other = UserRef(alice.paywall_id, "other")
        assert connections.link_for(other) != connections.link_for(alice)
        for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), token[::-1], "x", "", "é" * 43):
            with pytest.raises(connections.UnknownRequest):
                connections.open_request(forged)
        connections.approve(connections.open_request(token), person, None)
        assert connections.live(alice)
        assert connections.live(other) is None

    def test_an_expired_link_connects_nobody(self, person, alice):
        request = connections.open_request(connections.link_for(alice).rpartition("/")[2])
        AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(connections.RequestIsOver):
            connections.approve(request, person, None)
        assert connections.live(alice) is None

    def test_a_link_of_another_chat_ends_with_the_connection(self, person, alice):
        older = connections.open_request(connections.link_for(alice).rpartition("/")[2])
        AuthorizationRequest.objects.update(expires_at=timezone.now() + timedelta(seconds=60))
        make_connection(alice, person)
        assert older.pk != AuthorizationRequest.objects.get(state="approved").pk
        connections.end(connections.live(alice))
        with pytest.raises(connections.RequestIsOver):
            connections.approve(older, person, None)

    def test_a_request_is_removed_when_it_was_over_for_long(self, person, alice):
        made = make_connection(alice, person)
        connections.link_for(UserRef(alice.paywall_id, "bob"))
        AuthorizationRequest.objects.filter(user=made.user).update(
            expires_at=timezone.now() - connections.KEPT - timedelta(seconds=1)
        )
        assert connections.forget_requests() == 1
        assert AuthorizationRequest.objects.get().user.external_id == "bob"
        assert connections.live(alice) == made

    @in_real_transactions
    def test_of_many_who_approve_at_once_one_connects(self, alice):
        people = [make_wallet_user(f"{number}@home.test") for number in range(6)]
        request = connections.open_request(connections.link_for(alice).rpartition("/")[2])

        def approve(index):
            try:
                return connections.approve(request, people[index], None)
            except connections.RequestIsOver:
                return None

        made = [one for one in in_threads(6, approve) if one]
        assert len(made) == 1
        assert connections.live(alice) == made[0]

    def test_declined_is_an_answer_and_the_next_chat_asks_anew(self, alice):
        first = connections.link_for(alice)
        assert connections.link_for(alice) == first
        request = connections.open_request(first.rpartition("/")[2])
        connections.decline(request, None, "not now")
        with pytest.raises(connections.RequestIsOver):
            connections.decline(request, None, "again")
        assert connections.link_for(alice) != first

    def test_revoked_ends_spending_at_once_and_settles_what_was_under_way(self, person, alice):
        connection = make_connection(alice, person)
        held = post_one(PlaceHold(alice, ids.new(), NANO, 60))
        assert isinstance(held, Held)
        assert held.connection == connection.pk
        hold_id = Hold.objects.get().pk
        assert connections.end(connection)
        assert not connections.end(connection)
        # As the gateway asks that still remembers the wallet, and as one that doesn't.
        for wallet, through in ((held.account_id, connection.pk), (alice, None)):
            [refused] = post([PlaceHold(wallet, ids.new(), 1, 60, connection=through)])
            assert isinstance(refused, NotConnected)
        settled = post_one(Capture(held.account_id, hold_id, NANO, f"usage:{hold_id.hex}"))
        assert isinstance(settled, Resolved)
        assert settled.captured == NANO

    def test_a_connection_does_not_open_another_wallet(self, person, alice):
        make_connection(alice, person)
        other = make_wallet_user("other@home.test", balance=NANO)
        theirs = services.ensure_user(signin.wallet_ref(other)).wallet.pk
        mine = connections.live(alice).pk
        [refused] = post([PlaceHold(theirs, ids.new(), 1, 60, connection=mine)])
        assert isinstance(refused, NotConnected)

    def test_the_mode_is_fixed_by_the_database(self, alice):
        with pytest.raises(IntegrityError, match="mode of a paywall"), transaction.atomic():
            Paywall.objects.filter(pk=alice.paywall_id).update(mode="default")


class TestLimits:
    def test_a_month_limit_counts_holds_and_what_they_became(self, person, alice):
        connection = make_connection(alice, person, month_limit=3 * NANO)
        held = post_one(PlaceHold(alice, ids.new(), 2 * NANO, 60))
        with pytest.raises(SpendLimitReached) as refused:
            services.charge(alice, 2 * NANO, source="c")
        assert (refused.value.period, refused.value.room) == ("month", NANO)
        hold_id = Hold.objects.get().pk
        post_one(Capture(held.account_id, hold_id, NANO, f"usage:{hold_id.hex}", connection=connection.pk))
        services.charge(alice, 2 * NANO, source="c")
        with pytest.raises(SpendLimitReached):
            services.charge(alice, 1, source="d")
        connections.set_limit(connection, None)
        services.charge(alice, 1, source="d")

    def test_a_limit_is_the_connections_own(self, person, alice):
        make_connection(alice, person, month_limit=NANO)
        bob = UserRef(make_paywall(mode="shared").pk, "bob")
        make_connection(bob, person)
        services.charge(bob, 5 * NANO, source="b")
        services.charge(alice, NANO, source="a")

    @in_real_transactions
    def test_a_limit_for_one_of_twenty_at_once_admits_one(self, person, alice):
        make_connection(alice, person, month_limit=NANO)

        def hold():
            [outcome] = post([PlaceHold(alice, ids.new(), NANO, 60)])
            return outcome

        outcomes = at_once(20, hold)
        assert sum(isinstance(outcome, Held) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, SpendLimitReached) for outcome in outcomes) == 19


class TestSplits:
    @pytest.mark.parametrize(
        ("charge", "cost", "fee", "parts"),
        [
            (1_000, 300, "10", Parts(300, 100, 600)),
            (1_001, 0, "10", Parts(0, 101, 900)),
            (1_000, 2_000, "10", Parts(1_000, 0, 0)),
            (1_000, 950, "10", Parts(950, 50, 0)),
            (1, 0, "0.0001", Parts(0, 1, 0)),
            (1_000, -5, "0", Parts(0, 0, 1_000)),
            (1_000, 0, "100", Parts(0, 1_000, 0)),
        ],
    )
    def test_the_parts_sum_to_the_charge(self, charge, cost, fee, parts):
        assert shared_out(charge, cost, Decimal(fee)) == parts
        assert parts.amount == charge

    def test_refunds_give_back_the_parts_to_the_nano_in_whatever_steps(self):
        parts = Parts(333, 101, 567)
        steps, before = [1, 7, 500, 493], 0
        back = []
        for step in steps:
            back.append(given_back(parts, before, step))
            assert back[-1].amount == -step
            before += step
        assert before == parts.amount
        assert sum(part.provider_cost for part in back) == -333
        assert sum(part.platform_fee for part in back) == -101
        assert sum(part.earned for part in back) == -567
        assert all(min(part.provider_cost, part.platform_fee, part.earned) <= 0 for part in back)

    def test_a_request_is_shared_out_with_its_cost(self, person, alice):
        make_connection(alice, person)
        held = post_one(PlaceHold(alice, ids.new(), NANO, 60))
        hold_id = Hold.objects.get().pk
        post_one(Capture(held.account_id, hold_id, 1_000, f"usage:{hold_id.hex}", {COST: 250}))
        split = Split.objects.get()
        assert (split.provider_cost, split.platform_fee, split.earned) == (250, 100, 650)

    def test_an_app_claims_no_cost_in_its_metadata(self, person, alice):
        make_connection(alice, person)
        services.charge(alice, 1_000, source="c", metadata={COST: 900})
        assert Split.objects.get().earned == 900

    @in_real_transactions
    def test_earnings_are_settled_once_with_a_reference(self, person, alice):
        make_connection(alice, person)
        for number in range(3):
            services.charge(alice, 1_000, source=f"c:{number}")
        assert sum(at_once(3, services.settle_earnings)) == 3
        assert Account.objects.get(kind="earnings", posted__gt=0).posted == 2_700
        assert sum(Settlement.objects.values_list("amount", flat=True)) == 2_700

    def test_a_refund_takes_back_what_was_earned(self, person, alice):
        make_connection(alice, person)
        charge = services.charge(alice, 1_000, source="c")
        services.refund(charge.transfer_id, 400, source="r")
        assert services.earnings_of(Paywall.objects.get(pk=alice.paywall_id)) == 540
        services.refund(charge.transfer_id, source="r2")
        assert services.earnings_of(Paywall.objects.get(pk=alice.paywall_id)) == 0
        assert balance(person) == 10 * NANO


class TestWithdrawals:
    @pytest.fixture
    def paywall(self, person, alice):
        make_connection(alice, person)
        services.charge(alice, 1_000, source="c")
        return Paywall.objects.get(pk=alice.paywall_id)

    def test_never_more_than_was_earned(self, paywall):
        with pytest.raises(InsufficientFunds):
            services.request_withdrawal(paywall, 901)
        assert not Withdrawal.objects.exists()
        services.request_withdrawal(paywall, 900)
        with pytest.raises(InsufficientFunds):
            services.request_withdrawal(paywall, 1)

    @in_real_transactions
    def test_of_many_at_once_no_more_than_was_earned(self, paywall):
        def ask():
            try:
                return services.request_withdrawal(paywall, 400)
            except InsufficientFunds:
                return None

        assert sum(one is not None for one in at_once(6, ask)) == 2

    def test_it_is_paid_once_after_an_approval(self, paywall):
        asked = services.request_withdrawal(paywall, 900)
        with pytest.raises(WrongState):
            services.mark_paid(asked, "wire 7")
        services.approve_withdrawal(asked)
        services.mark_paid(asked, "wire 7")
        assert (asked.state, asked.reference) == ("paid", "wire 7")
        for again in (
            lambda: services.mark_paid(asked, "wire 8"),
            lambda: services.refuse_withdrawal(asked, ""),
        ):
            with pytest.raises(WrongState):
                again()

    def test_a_refusal_gives_it_back(self, paywall):
        asked = services.request_withdrawal(paywall, 900)
        services.refuse_withdrawal(asked, "no bank account")
        assert services.earnings_of(paywall) == 900

    def test_a_refund_after_the_withdrawal_is_a_debt_that_blocks_the_next(self, paywall):
        services.request_withdrawal(paywall, 900)
        services.refund(Transfer.objects.get(kind="charge").pk, source="r")
        assert services.earnings_of(paywall) == -900
        with pytest.raises(InsufficientFunds):
            services.request_withdrawal(paywall, 1)


class TestSigningIn:
    def test_the_code_makes_one_wallet_an_address(self):
        first = make_wallet_user("ann@home.test")
        assert make_wallet_user("ann@home.test") == first
        assert WalletUser.objects.count() == 1

    @in_real_transactions
    def test_first_sign_ins_at_once_make_one_wallet(self):
        asked = [signin.make_code("ann@home.test", None) for _ in range(4)]
        people = in_threads(4, lambda index: signin.check_code(asked[index].id, asked[index].plain))
        assert len({person.pk for person in people}) == WalletUser.objects.count() == 1
        assert EndUser.objects.count() == 1

    def test_a_code_works_once(self):
        asked = signin.make_code("ann@home.test", None)
        signin.check_code(asked.id, asked.plain)
        with pytest.raises(signin.CodeIsOver):
            signin.check_code(asked.id, asked.plain)

    def test_a_few_wrong_tries_end_it(self):
        asked = signin.make_code("ann@home.test", None)
        wrong = f"{(int(asked.plain) + 1) % 10**6:06d}"
        for left in range(signin.MAX_TRIES - 1, -1, -1):
            with pytest.raises(signin.WrongCode) as refused:
                signin.check_code(asked.id, wrong)
            assert refused.value.left == left
        with pytest.raises(signin.CodeIsOver):
            signin.check_code(asked.id, asked.plain)
        assert not WalletUser.objects.exists()

    def test_another_codes_digits_do_not_open_it(self):
        ann, eve = signin.make_code("ann@home.test", None), signin.make_code("eve@home.test", None)
        if ann.plain != eve.plain:
            with pytest.raises(signin.WrongCode):
                signin.check_code(ann.id, eve.plain)

    def test_it_expires(self):
        asked = signin.make_code("ann@home.test", None)
        signin.SignInCode.objects.update(expires_at=timezone.now())
        with pytest.raises(signin.CodeIsOver):
            signin.check_code(asked.id, asked.plain)

    def test_only_so_many_codes_are_sent(self):
        for _ in range(signin.MAX_CODES_AN_EMAIL):
            signin.make_code("ann@home.test", "203.0.113.7")
        with pytest.raises(signin.TooManyCodes):
            signin.make_code("ann@home.test", "203.0.113.8")
        signin.make_code("bea@home.test", "203.0.113.7")

    def test_nothing_of_the_code_is_stored(self):
        asked = signin.make_code("ann@home.test", None)
        assert asked.plain not in str(signin.SignInCode.objects.values().get())
