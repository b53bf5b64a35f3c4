"""Blocked users and archived paywalls: refused everywhere from the next request on, and nothing of theirs is lost."""

import uuid
from typing import Any

import pytest
from django.test import Client

from config.money import NANO
from ledger import services, topups
from ledger.errors import Blocked
from ledger.models import Hold
from paywalls import keys, standing
from paywalls.errors import InvalidSetting
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef
from tests.customer import make_customer, path_of, posted, show
from tests.factories import make_paywall, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> EndUser:
    return make_customer(trial_credit=5 * NANO)


def ref(user: EndUser) -> UserRef:
    return UserRef(user.paywall_id, user.external_id)


def ask(paywall: Paywall, method: str, path: str, **data: Any) -> Any:
    key = keys.issue_key(paywall)
    headers = {"Authorization": f"Bearer {key}"}
    if method == "get":
        return Client().get(f"/v1/user/{path}", data, headers=headers)
    return Client().post(f"/v1/user/{path}", data, "application/json", headers=headers)


class TestBlockedUsers:
    def test_nothing_new_is_held_or_charged(self, alice: EndUser) -> None:
        assert standing.block_user(alice, "chargebacks")
        with pytest.raises(Blocked):
            services.charge(ref(alice), NANO, source="charge:1")
        with pytest.raises(Blocked):
            services.hold(ref(alice), NANO, hold_id=uuid.uuid4(), seconds=60)
        assert posted(alice) == 5 * NANO

    def test_what_was_held_before_is_captured_and_credit_still_comes(self, alice: EndUser) -> None:
        hold_id = uuid.uuid4()
        services.hold(ref(alice), NANO, hold_id=hold_id, seconds=60)
        standing.block_user(alice, "chargebacks")
        services.capture(Hold.objects.get(pk=hold_id), NANO)
        services.deposit(ref(alice), 2 * NANO, source="deposit:1")
        assert posted(alice) == 6 * NANO

    def test_it_is_theirs_alone_and_ends(self, alice: EndUser) -> None:
        bob = services.ensure_user(UserRef(alice.paywall_id, "bob"))
        standing.block_user(alice, "chargebacks")
        services.charge(ref(bob), NANO, source="charge:bob")
        assert standing.unblock_user(alice)
        services.charge(ref(alice), NANO, source="charge:alice")
        assert posted(alice) == 4 * NANO

    def test_somebody_without_a_wallet_can_be_blocked_before_they_come(self) -> None:
        newcomer = make_user(make_paywall(trial_credit=NANO))
        standing.block_user(newcomer, "known from elsewhere")
        with pytest.raises(Blocked):
            services.charge(ref(newcomer), 1, source="charge:1")

    def test_blocking_twice_keeps_the_first_reason(self, alice: EndUser) -> None:
        assert standing.block_user(alice, "first")
        assert not standing.block_user(alice, "second")
        alice.refresh_from_db()
        assert alice.blocked_reason == "first"
        assert standing.unblock_user(alice)
        assert not standing.unblock_user(alice)

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "two\nlines"])
    def test_a_reason_is_needed(self, alice: EndUser, reason: str) -> None:
        with pytest.raises(InvalidSetting) as refused:
            standing.block_user(alice, reason)
        assert refused.value.param == "reason"

    @pytest.mark.parametrize(
        ("method", "path", "data"),
        [
            ("post", "charge", {"amount": "1"}),
            ("post", "holds", {"amount": "1", "seconds": 60}),
            ("get", "balance/topup", {}),
        ],
    )
    def test_the_api_says_403_without_the_operators_reason(
        self, alice: EndUser, method: str, path: str, data: dict[str, Any]
    ) -> None:
        standing.block_user(alice, "suspected fraud")
        answer = ask(alice.paywall, method, path, user="alice", **data)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "user_blocked"
        assert "fraud" not in answer.content.decode()

    def test_a_refused_charge_claims_no_idempotency_key(self, alice: EndUser) -> None:
        key = keys.issue_key(alice.paywall)
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "one"}
        body = {"user": "alice", "amount": "1"}
        standing.block_user(alice, "a moment")
        refused = Client().post("/v1/user/charge", body, "application/json", headers=headers)
        standing.unblock_user(alice)
        done = Client().post("/v1/user/charge", body, "application/json", headers=headers)
        assert (refused.status_code, done.status_code, done.json()["success"]) == (403, 200, True)

    def test_their_balance_can_still_be_read(self, alice: EndUser) -> None:
        standing.block_user(alice, "chargebacks")
        assert ask(alice.paywall, "get", "balance", user="alice").json()["balance"] == str(5 * NANO)

    def test_a_link_that_they_have_takes_no_money(self, alice: EndUser) -> None:
        path = path_of(alice)
        standing.block_user(alice, "chargebacks")
        assert show(path).status_code == 410
        assert Client().post(path, {"amount": "10"}).status_code == 410
        assert posted(alice) == 5 * NANO


class TestArchivedPaywalls:
    @pytest.mark.parametrize(
        "path",
        [
            "user/balance?user=alice",
            "user/balance/topup?user=alice",
            "webhooks/subscriptions",
            "ledger/export",
        ],
    )
    def test_every_endpoint_is_gone(self, alice: EndUser, path: str) -> None:
        headers = {"Authorization": f"Bearer {keys.issue_key(alice.paywall)}"}
        standing.archive_paywall(alice.paywall, "closed")
        answer = Client().get(f"/v1/{path}", headers=headers)
        assert answer.status_code == 410
        assert answer.json()["error"]["code"] == "paywall_archived"
        standing.restore_paywall(alice.paywall)
        assert Client().get(f"/v1/{path}", headers=headers).status_code == 200

    def test_balances_stay_and_its_links_take_no_money(self, alice: EndUser) -> None:
        path = path_of(alice)
        standing.archive_paywall(alice.paywall, "closed")
        assert show(path).status_code == 410
        assert posted(alice) == 5 * NANO

    def test_other_paywalls_go_on(self, alice: EndUser) -> None:
        other = make_customer("bob")
        standing.archive_paywall(alice.paywall, "closed")
        assert ask(other.paywall, "get", "balance", user="bob").status_code == 200

    def test_it_moves_the_configurations_version(self, alice: EndUser) -> None:
        def version() -> int:
            return Paywall.objects.get(pk=alice.paywall_id).config_version

        before = version()
        standing.archive_paywall(alice.paywall, "closed")
        after = version()
        assert after > before
        assert not standing.archive_paywall(alice.paywall, "again")
        assert version() == after

    def test_a_reason_is_needed(self, alice: EndUser) -> None:
        with pytest.raises(InvalidSetting):
            standing.archive_paywall(alice.paywall, " ")


def test_topup_links_of_an_open_paywall_open(alice: EndUser) -> None:
    assert topups.open_link(path_of(alice).rsplit("/", 1)[1]).user == alice
