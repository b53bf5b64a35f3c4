"""Balances, deposits and charges over HTTP: what works, what is refused, and that a request counts once."""

import json
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from config.money import NANO
from ledger import book, queries, services
from ledger.errors import Contention
from ledger.models import Account, TopUpLink, Transfer
from paywalls import keys
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef
from tests.factories import make_paywall
from tests.threads import at_once

BALANCE, TOPUP = "/v1/user/balance", "/v1/user/balance/topup"
DEPOSIT, CHARGE = "/v1/user/balance/deposit", "/v1/user/charge"


class App:
    """An app that calls the API with its paywall's key."""

    def __init__(self, **settings: Any) -> None:
        self.paywall: Paywall = make_paywall(**settings)
        self.key = keys.issue_key(self.paywall)

    def call(self, method: str, path: str, **options: Any) -> Any:
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return client.generic(method, path, headers=headers, **options)

    def get(self, path: str, user: str | None = "alice", **headers: str) -> Any:
        query = f"?user={user}" if user is not None else ""
        return self.call("GET", path + query, headers=headers)

    def post(self, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        data = json.dumps({"user": "alice", **body})
        return self.call("POST", path, data=data, content_type="application/json", headers=headers or {})

    def posted(self, user: str = "alice") -> int:
        return queries.balance_of(UserRef(self.paywall.id, user)).posted


@pytest.fixture
def app(db: None) -> App:
    return App()


def refusal(answer: Any, status: int, param: str | None = None) -> str:
    """The message of an error answer, which must be a whole OpenAI error object."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Request-Id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"]
    assert error["param"] == param
    return str(error["message"])


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


# --- What is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
@pytest.mark.parametrize(
    "amount",
    [
        "abc",
        "-1",
        "NaN",
        "1e999",
        "0.0000000001",
        "0",
        "",
        " 1",
        "1000000.01",
        "9" * 400,
        0.25,
        1,
        None,
        [],
        {},
        True,
    ],
)
def test_amounts_that_are_none_are_refused(app: App, path: str, amount: object) -> None:
    assert refusal(app.post(path, amount=amount), 400, "amount").startswith("amount: must ")
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
def test_an_amount_is_required(app: App, path: str) -> None:
    assert "is required" in refusal(app.post(path), 400, "amount")


def nested(levels: int) -> dict[str, Any]:
    return {"deeper": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
@pytest.mark.parametrize(
    "metadata",
    [
        [], "text", 1, None, {"nul": "\0"}, {"\0": 1}, {"a": [{"b": "x\0y"}]}, {"big": "x" * 16_400},
        nested(40), nested(900), {"_fingerprint": "mine"},
    ],
)  # fmt: skip
def test_metadata_that_can_not_be_kept_is_refused(app: App, path: str, metadata: object) -> None:
    refusal(app.post(path, amount="1", metadata=metadata), 400, "metadata")
    assert not Transfer.objects.exists()


def test_metadata_up_to_the_limit_is_kept_as_it_is(app: App) -> None:
    metadata = {"text": "x" * 15_900, "unicode": "zoë 🦊", "nested": nested(30), "list": [1, 2.5, True, None]}
    assert app.post(DEPOSIT, amount="1", metadata=metadata).status_code == 200
    assert Transfer.objects.get().metadata == metadata


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
@pytest.mark.parametrize(
    "body",
    [
        b"{", b"nope", b'{"user": "alice", "amount": "1"', b"\xff\xfe", b'{"amount": NaN}',
        b'{"amount": 1e999}', b'{"user": "\\ud800"}', b"[" * 100_000, b"[]", b'"text"', b"null", b"1",
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(app: App, path: str, body: bytes) -> None:
    assert "JSON" in refusal(app.call("POST", path, data=body, content_type="application/json"), 400)


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
def test_other_content_types_are_refused(app: App, kind: str) -> None:
    answer = app.call("POST", DEPOSIT, data=b"amount=1&user=alice", content_type=kind)
    assert "Send application/json" in refusal(answer, 415)


@pytest.mark.parametrize("accept", ["text/html", "text/event-stream", "application/xml", "nonsense"])
def test_the_answer_is_json_whatever_the_client_accepts(app: App, accept: str) -> None:
    answer = app.get(BALANCE, "alice&format=xml", Accept=accept)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_an_empty_body_names_what_is_missing(app: App) -> None:
    refusal(app.call("POST", DEPOSIT), 400, "amount")


def test_a_body_over_the_limit_is_refused(app: App, settings: Any) -> None:
    settings.MAX_BODY_BYTES = 1_000
    assert "1,000 bytes" in refusal(app.post(DEPOSIT, amount="1", metadata={"text": "x" * 1_000}), 413)
    assert not Transfer.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", BALANCE), ("GET", DEPOSIT), ("PUT", CHARGE), ("DELETE", TOPUP)]
)
def test_other_methods_are_refused(app: App, method: str, path: str) -> None:
    answer = app.call(method, path)
    refusal(answer, 405)
    assert answer["Allow"]


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/user", "/v1/user/balance/", "/v1/user/balance/deposit/x"]
)
def test_unknown_paths_are_refused_in_the_same_shape(app: App, path: str) -> None:
    assert path in refusal(app.call("GET", path), 404)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", BALANCE), ("GET", TOPUP), ("POST", DEPOSIT), ("POST", CHARGE)]
)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer sk-paywalls-unknown"}, {"Authorization": "Basic x"}, {"X-API-Key": "x"}],
)
def test_without_a_live_key_nothing_is_answered(
    app: App, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = Client().generic(method, f"{path}?user=alice", headers=headers)
    refusal(answer, 401)
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_revoked_key_is_refused_at_once(app: App) -> None:
    assert app.get(BALANCE).status_code == 200
    keys.revoke_key(app.paywall.keys.get())
    refusal(app.get(BALANCE), 401)


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
def test_balances_of_a_shared_paywall_are_not_the_apps_to_change(db: None, path: str) -> None:
    app = App()
    Paywall.objects.filter(pk=app.paywall.pk).update(mode="shared")
    assert "shared mode" in refusal(app.post(path, amount="1"), 403)
    assert not Transfer.objects.exists()


def test_a_deposit_over_the_maximum_balance_is_refused(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "MAX_BALANCE", 10 * NANO)
    app.post(DEPOSIT, amount="9")
    assert "10 USD" in refusal(app.post(DEPOSIT, amount="2"), 400, "amount")
    assert app.posted() == 9 * NANO


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
def test_a_busy_ledger_asks_to_try_again(app: App, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: Any, **kwargs: Any) -> None:
        raise Contention("busy")

    monkeypatch.setattr(services, "post_one", busy)
    answer = app.post(path, amount="1")
    refusal(answer, 503)
    assert int(answer["Retry-After"]) >= 1


def test_a_database_that_is_away_asks_to_try_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(keys, "find", away)
    answer = app.get(BALANCE)
    assert "refused" not in refusal(answer, 503)
    assert int(answer["Retry-After"]) >= 1


def test_a_fault_of_ours_is_answered_in_the_same_shape(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(queries, "balance_of", broken)
    assert "a bug" not in refusal(app.get(BALANCE), 500)


# --- Idempotency -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
def test_the_same_key_and_body_replays_the_first_answer(app: App, path: str) -> None:
    app.post(DEPOSIT, amount="10")
    key = {"Idempotency-Key": "order-1"}
    first = app.post(path, amount="1", metadata={"b": 1, "a": 2}, headers=key)
    app.post(DEPOSIT, amount="5")
    again = app.post(path, metadata={"a": 2, "b": 1}, amount="1.00", headers=key)
    assert first.status_code == again.status_code == 200
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert Transfer.objects.filter(source__startswith=path.rsplit("/", 1)[1]).count() == (
        3 if path == DEPOSIT else 1
    )


@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
@pytest.mark.parametrize(
    "changed", [{"amount": "2"}, {"user": "bob"}, {"metadata": {"order": 2}}, {"metadata": {}}]
)
def test_the_same_key_with_another_body_is_refused(app: App, path: str, changed: dict[str, Any]) -> None:
    for user in ("alice", "bob"):
        app.post(DEPOSIT, amount="10", user=user)
    body = {"amount": "1", "metadata": {"order": 1}}
    key = {"Idempotency-Key": "order-1"}
    assert app.post(path, **body, headers=key).status_code == 200
    balances = app.posted("alice"), app.posted("bob")
    refusal(app.post(path, **{**body, **changed}, headers=key), 422, "Idempotency-Key")
    assert (app.posted("alice"), app.posted("bob")) == balances


def test_without_a_key_every_request_counts(app: App) -> None:
    app.post(DEPOSIT, amount="1")
    app.post(DEPOSIT, amount="1")
    assert app.posted() == 2 * NANO


def test_two_paywalls_may_use_the_same_key(app: App) -> None:
    key = {"Idempotency-Key": "order-1"}
    other = App()
    app.post(DEPOSIT, amount="1", headers=key)
    answer = other.post(DEPOSIT, amount="1", headers=key)
    assert "Idempotent-Replayed" not in answer
    assert (app.posted(), other.posted()) == (NANO, NANO)


def test_a_refused_charge_claims_no_key(app: App) -> None:
    key = {"Idempotency-Key": "order-1"}
    assert app.post(CHARGE, amount="1", headers=key).json()["success"] is False
    app.post(DEPOSIT, amount="1")
    assert app.post(CHARGE, amount="1", headers=key).json()["success"] is True
    replayed = app.post(CHARGE, amount="1", headers=key)
    assert replayed.json()["success"] is True
    assert replayed["Idempotent-Replayed"] == "true"
    assert app.posted() == 0


@pytest.mark.parametrize("key", ["", " ", "two words", "k" * 256, "zoë", "tab\t"])
def test_unusable_keys_are_refused(app: App, key: str) -> None:
    refusal(app.post(DEPOSIT, amount="1", headers={"Idempotency-Key": key}), 400, "Idempotency-Key")
    assert not Transfer.objects.exists()


def test_the_longest_key_is_taken(app: App) -> None:
    key = {"Idempotency-Key": "~" * 255}
    assert app.post(DEPOSIT, amount="1", headers=key).status_code == 200
    assert app.post(DEPOSIT, amount="1", headers=key)["Idempotent-Replayed"] == "true"


@pytest.mark.django_db(transaction=True)
def test_twenty_deposits_at_once_with_one_key_count_once() -> None:
    app = App()
    key = {"Idempotency-Key": "order-1"}
    answers = at_once(20, lambda: app.post(DEPOSIT, amount="1", headers=key))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({answer.json()["activityId"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1
    assert app.posted() == NANO


@pytest.mark.django_db(transaction=True)
def test_twenty_charges_at_once_with_funds_for_one_take_one() -> None:
    app = App()
    app.post(DEPOSIT, amount="1.5")
    answers = at_once(20, lambda: app.post(CHARGE, amount="1"))
    assert sorted(answer.json()["success"] for answer in answers) == [False] * 19 + [True]
    assert app.posted() == 500_000_000


@pytest.mark.django_db(transaction=True)
def test_twenty_links_for_a_new_user_at_once_make_one_user_with_one_trial() -> None:
    app = App(trial_credit=NANO)
    answers = at_once(20, lambda: app.get(TOPUP))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert EndUser.objects.filter(paywall=app.paywall).count() == 1
    assert app.posted() == NANO
    assert TopUpLink.objects.filter(user__paywall=app.paywall).exists()
