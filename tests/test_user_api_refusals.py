"""What the balance API refuses, each in the OpenAI shape, saying what to change, and moving nothing."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from config.money import NANO
from ledger import book, posting, queries
from ledger.errors import Contention
from ledger.models import Transfer
from paywalls import keys
from tests.app import BALANCE, CHARGE, DEPOSIT, TOPUP, App, refusal


@pytest.fixture
def app(db: None) -> App:
    return App()


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
        nested(40), nested(900),
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


def test_balances_of_a_shared_paywall_are_not_the_apps_to_change(db: None) -> None:
    app = App(mode="shared")
    assert "shared mode" in refusal(app.post(DEPOSIT, amount="1"), 403)
    assert "shared mode" in refusal(
        app.call("PUT", "/v1/user/settings", data="{}", content_type="application/json"), 403
    )
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

    monkeypatch.setattr(posting, "post", busy)
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
