"""Credits of users, teams and the customer: bought, granted once, listed; every number exact."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from config import ids
from config.money import NANO
from ledger import services
from ledger.models import Account, Lot, Transfer
from ledger.rating import credits
from tests.factories import make_tenant
from tests.tenants import TenantApi, event, exact

pytestmark = pytest.mark.django_db

GRANT, PURCHASE = "/v1/credits/grant", "/v1/credits/purchase"


@pytest.fixture(autouse=True)
def _unhurried(settings):
    settings.RATE_LIMIT_PER_MINUTE = 0


@pytest.fixture
def api():
    return TenantApi()


def test_a_purchase_adds_paid_credit(api):
    answer = api.post(PURCHASE, userId="alice", amount=1234.567891, purchasePrice=9.99)
    assert exact(answer)["data"]["newBalance"] == Decimal("1234.567891")
    transfer = Transfer.objects.get()
    assert answer.json()["data"]["transactionId"] == str(transfer.pk)
    assert (transfer.amount, transfer.metadata["purchase_price"]) == (1_234_567_891, "9.99")
    assert Lot.objects.get().kind == "paid"


def test_a_purchase_with_a_key_happens_once(api):
    body = {"userId": "alice", "amount": 0.1, "purchasePrice": 1}

    def buy(**fields):
        headers = {"X-API-Key": api.plain, "Idempotency-Key": "order-1"}
        return Client().post(PURCHASE, {**body, **fields}, content_type="application/json", headers=headers)

    first, again = buy(), buy()
    assert exact(first) == exact(again)
    assert exact(again)["data"]["newBalance"] == Decimal("0.1")
    assert again["Idempotent-Replayed"] == "true"
    assert buy(amount=2).status_code == 422
    assert Transfer.objects.count() == 1


def test_a_grant_goes_to_a_user_a_team_or_the_customer(api):
    for owner in ({"userId": "alice"}, {"teamId": "red"}, {}):
        answer = api.post(GRANT, amount=5, reason="welcome", **owner).json()["data"]
        assert (answer["newBalance"], answer["amount"]) == ("5", "5")
    owned = Account.objects.filter(kind="wallet").values_list(
        "user__external_id", "team__external_id", "posted"
    )
    five = 5 * NANO // 1_000
    assert sorted(owned, key=str) == [("alice", None, five), (None, "red", five), (None, None, five)]


def test_the_same_key_answers_the_same_transaction(api):
    first = api.post(GRANT, userId="alice", amount=5, idempotencyKey="k").json()
    assert api.post(GRANT, userId="alice", amount=5, idempotencyKey="k").json() == first
    assert api.post(GRANT, userId="alice", amount=6, idempotencyKey="k").status_code == 409
    assert api.post(GRANT, userId="bob", amount=5, idempotencyKey="k").status_code == 409
    assert Transfer.objects.count() == 1
    assert TenantApi().post(GRANT, userId="alice", amount=7, idempotencyKey="k").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": 0.5},
        {"amount": "5"},
        {"amount": True},
        {"amount": 1e30},
        {"amount": 1.0000001},
        {},
        {"amount": 5, "userId": "a", "teamId": "b"},
        {"amount": 5, "userId": ""},
        {"amount": 5, "userId": "a\x00"},
        {"amount": 5, "expiresAt": "2020-01-01T00:00:00Z"},
        {"amount": 5, "metadata": {"a": "\x00"}},
    ],
)
def test_what_is_no_grant_is_refused(api, fields):
    answer = api.post(GRANT, fields or {"reason": "none"})
    assert (answer.status_code, answer.json()["error"] != "") == (400, True)
    assert not Transfer.objects.exists()


def test_balances_are_told_in_credits(api):
    assert api.get("/v1/credits/balance").status_code == 404
    assert api.get("/v1/users/alice/credits").status_code == 404
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    api.post(GRANT, amount=7)
    api.post(GRANT, userId="alice", amount=10, expiresAt=expires.isoformat())
    services.hold(api.user("alice"), 1_500_000, hold_id=ids.new(), seconds=60)
    assert api.get("/v1/credits/balance").json()["data"] == {
        "balance": "7",
        "reservedBalance": "0",
        "availableBalance": "7",
        "currency": "CREDITS",
    }
    assert exact(api.get("/v1/users/alice/credits"))["data"] == {
        "balance": 10,
        "reserved": Decimal("1.5"),
        "available": Decimal("8.5"),
        "expiresAt": expires.isoformat().replace("+00:00", "Z"),
    }


def test_credit_whose_time_is_over_counts_no_more(api):
    api.post(GRANT, userId="alice", amount=10, expiresAt=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    api.post(GRANT, userId="alice", amount=5)
    past = datetime.now(UTC) - timedelta(seconds=1)
    Lot.objects.filter(amount=10_000_000).update(expires_at=past)
    Account.objects.filter(user__isnull=False).update(next_expiry=past)
    answer = exact(api.get("/v1/users/alice/credits"))["data"]
    assert (answer["balance"], answer["expiresAt"]) == (5, None)


def test_transactions_are_listed_newest_first(api):
    api.post(GRANT, userId="alice", amount=10, reason="welcome")
    api.post(PURCHASE, userId="alice", amount=5, purchasePrice=1)
    api.ingest(event(user_id="alice"))
    path = "/v1/users/alice/transactions"
    answer = exact(api.get(path))
    told = [
        (one["transactionType"], one["amount"], one["balanceBefore"], one["balanceAfter"], one["description"])
        for one in answer["data"]
    ]
    assert told == [
        ("BURN", -1, 15, 14, "gpt-4o-mini"),
        ("PURCHASE", 5, 10, 15, "Purchase"),
        ("GRANT", 10, 0, 10, "welcome"),
    ]
    assert answer["pagination"] == {"limit": 50, "offset": 0, "total": 3}
    page = exact(api.get(path, limit=1, offset=1))
    assert [one["transactionType"] for one in page["data"]] == ["PURCHASE"]
    assert api.get(path, limit=101).status_code == 400
    assert api.get(path, offset=2**53 - 1).json()["data"] == []
    assert api.get("/v1/users/nobody/transactions").json()["pagination"]["total"] == 0


def test_an_id_may_hold_a_slash(api):
    api.post(GRANT, userId="acme/alice", amount=10)
    assert exact(api.get("/v1/users/acme/alice/credits"))["data"]["balance"] == 10


@pytest.mark.parametrize("rate", [1, 3, 7, 100, 1_000, 999_999, NANO])
@pytest.mark.parametrize("nano", [1, 999_999_999, NANO, 123_456_789_012_345])
def test_credits_come_back_as_the_same_nano_dollars_at_any_rate(rate, nano):
    assert credits.nano(credits.of(nano, rate), rate) == nano


def test_a_rate_of_its_own_is_the_tenants():
    api = TenantApi(make_tenant(credits_per_usd=100))
    api.post(GRANT, userId="alice", amount=100)
    assert Account.objects.get(user__isnull=False).posted == NANO
