"""Balances, deposits and charges over HTTP: what works, and who the user is."""

import pytest
from django.test import Client

from config.money import NANO
from ledger.models import Account, Transfer
from paywalls.models import EndUser
from tests.app import BALANCE, CHARGE, DEPOSIT, TOPUP, App, refusal


@pytest.fixture
def app(db: None) -> App:
    return App()


# --- What works ------------------------------------------------------------------------------------------


def test_a_user_never_seen_has_the_trial_credit_and_asking_makes_nobody(db: None) -> None:
    app = App(trial_credit=50_000_000)
    assert app.get(BALANCE).json() == {"balance": "50000000", "balanceFormatted": "$0.05"}
    assert not EndUser.objects.exists()


def test_a_deposit_is_answered_with_the_balance_and_its_ledger_entry(app: App) -> None:
    answer = app.post(DEPOSIT, amount="12.5", metadata={"order": "A-1"})
    transfer = Transfer.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "balance": "12500000000",
        "balanceFormatted": "$12.50",
        "activityId": transfer.public_id,
    }
    assert transfer.metadata == {"order": "A-1"}
    assert app.get(BALANCE).json() == {"balance": "12500000000", "balanceFormatted": "$12.50"}


def test_a_charge_takes_the_amount(app: App) -> None:
    app.post(DEPOSIT, amount="1")
    answer = app.post(CHARGE, amount="0.25", metadata={"for": "export"})
    transfer = Transfer.objects.get(kind=Transfer.Kind.CHARGE)
    assert answer.json() == {"success": True, "activityId": transfer.public_id}
    assert transfer.metadata == {"for": "export"}
    assert app.posted() == 750_000_000


def test_a_charge_of_the_whole_balance_is_paid(app: App) -> None:
    app.post(DEPOSIT, amount="1")
    assert app.post(CHARGE, amount="1").json()["success"] is True
    assert app.get(BALANCE).json() == {"balance": "0", "balanceFormatted": "$0.00"}


def test_a_charge_that_is_not_covered_answers_with_a_link_and_takes_nothing(app: App) -> None:
    app.post(DEPOSIT, amount="1")
    answer = app.post(CHARGE, amount="1.000000001")
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert app.get(TOPUP).json()["url"] in answer.json()["message"]
    assert app.paywall.name in answer.json()["message"]
    assert app.posted() == NANO


def test_a_charge_can_use_the_trial_credit_of_a_new_user(db: None) -> None:
    app = App(trial_credit=50_000_000)
    assert app.post(CHARGE, amount="0.02").json()["success"] is True
    assert app.get(BALANCE).json()["balance"] == "30000000"


def test_what_is_held_is_not_there_to_spend(app: App) -> None:
    app.post(DEPOSIT, amount="1")
    Account.objects.filter(user__external_id="alice").update(held=400_000_000)
    assert app.get(BALANCE).json()["balance"] == "600000000"
    assert app.post(CHARGE, amount="0.7").json()["success"] is False


def test_the_key_works_in_either_header(app: App) -> None:
    answer = Client().get(BALANCE, {"user": "alice"}, headers={"X-API-Key": app.key})
    assert answer.status_code == 200


def test_users_of_two_paywalls_with_one_id_are_two_users(app: App) -> None:
    other = App()
    app.post(DEPOSIT, amount="1")
    assert other.get(BALANCE).json()["balance"] == "0"
    assert other.post(CHARGE, amount="0.5").json()["success"] is False


# --- Who the user is -------------------------------------------------------------------------------------


def test_body_beats_header_and_header_beats_its_alias(app: App) -> None:
    both = {"X-Paywall-User": "bob", "X-Openstack-User": "carol"}
    app.post(DEPOSIT, amount="1", user="alice", headers=both)
    app.post(DEPOSIT, amount="2", user=None, headers=both)
    app.post(DEPOSIT, amount="4", user=None, headers={"X-Openstack-User": "carol"})
    assert [app.posted(name) // NANO for name in ("alice", "bob", "carol")] == [1, 2, 4]


def test_query_beats_header(app: App) -> None:
    app.post(DEPOSIT, amount="1", user="alice")
    assert app.get(BALANCE, "alice", **{"X-Paywall-User": "bob"}).json()["balance"] == "1000000000"
    assert app.get(BALANCE, None, **{"X-Paywall-User": "alice"}).json()["balance"] == "1000000000"


def test_an_id_in_a_header_is_utf_8_and_the_same_user_as_in_the_body(app: App) -> None:
    app.post(DEPOSIT, amount="1", user="zoë")
    on_the_wire = "zoë".encode().decode("latin-1")  # as ASGI and WSGI hand header bytes over
    assert app.get(BALANCE, None, **{"X-Paywall-User": on_the_wire}).json()["balance"] == "1000000000"


@pytest.mark.parametrize(
    "user", ["a", "u" * 128, "🦊" * 128, " spaces kept ", "user@example.com/x?y=1", "NULL"]
)
def test_ids_are_opaque(app: App, user: str) -> None:
    assert app.post(DEPOSIT, amount="1", user=user).status_code == 200
    assert EndUser.objects.get().external_id == user


@pytest.mark.parametrize(
    "user", ["", "u" * 129, "nul\0", "line\nbreak", "tab\t", "\x7f", "\ufffd", 7, [], {}, True]
)
def test_unusable_ids_are_refused(app: App, user: object) -> None:
    refusal(app.post(DEPOSIT, amount="1", user=user), 400, "user")
    assert not EndUser.objects.exists()


@pytest.mark.parametrize("path", [BALANCE, TOPUP])
@pytest.mark.parametrize("user", ["", "u" * 129, "nul%00", "%ff%fe", "line%0A"])
def test_unusable_ids_in_the_query_are_refused(app: App, path: str, user: str) -> None:
    refusal(app.get(path, user), 400, "user")


def test_an_unusable_header_is_refused_and_not_passed_over(app: App) -> None:
    headers = {"X-Paywall-User": "u" * 129, "X-Openstack-User": "bob"}
    refusal(app.get(BALANCE, None, **headers), 400, "user")
    refusal(app.get(BALANCE, None, **{"X-Paywall-User": "\xff\xfe"}), 400, "user")


def test_no_user_is_refused(app: App) -> None:
    for answer in (
        app.get(BALANCE, None),
        app.get(TOPUP, None),
        app.post(DEPOSIT, amount="1", user=None),
        app.post(CHARGE, amount="1", user=None),
    ):
        assert "X-Paywall-User" in refusal(answer, 400, "user")
