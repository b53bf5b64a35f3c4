"""Holds over REST: reserve, do the work, capture what it cost."""

import pytest

from config.money import NANO
from ledger import services
from ledger.models import Hold, IdempotencyKey, Transfer
from ledger.verification import verify
from tests.app import BALANCE, DEPOSIT, App, refusal

HOLDS = "/v1/user/holds"


@pytest.fixture
def app(db: None) -> App:
    app = App()
    app.post(DEPOSIT, amount="1")
    return app


def act(app, hold, what, headers=None, **body):
    return app.post(f"{HOLDS}/{hold}/{what}", headers=headers, **body)


def test_a_hold_reserves_and_a_capture_charges_a_part_and_frees_the_rest(app):
    placed = app.post(HOLDS, amount="0.8", seconds=60).json()
    assert placed["success"] is True
    assert placed["id"].startswith("hld_")
    assert app.get(BALANCE).json()["balance"] == "200000000"
    captured = act(app, placed["id"], "capture", amount="0.3", metadata={"tool": "search"})
    charge = Transfer.objects.get(kind="charge")
    assert captured.json() == {"success": True, "captured": "0.3", "activityId": charge.public_id}
    assert charge.metadata == {"tool": "search"}
    assert app.get(BALANCE).json()["balance"] == "700000000"
    assert act(app, placed["id"], "capture", amount="0.3").json() == captured.json()
    refusal(act(app, placed["id"], "capture", amount="0.2"), 409)
    refusal(act(app, placed["id"], "release"), 409)


def test_a_capture_without_an_amount_takes_all_and_never_more(app):
    hold = app.post(HOLDS, amount="0.8").json()["id"]
    assert "0.8" in refusal(act(app, hold, "capture", amount="0.800000001"), 400, "amount")
    assert act(app, hold, "capture").json()["captured"] == "0.8"


def test_a_release_frees_it_and_again_changes_nothing(app):
    hold = app.post(HOLDS, amount="0.8").json()["id"]
    assert act(app, hold, "release").json() == {"success": True}
    assert act(app, hold, "release").json() == {"success": True}
    refusal(act(app, hold, "capture"), 409)
    assert app.get(BALANCE).json()["balance"] == str(NANO)


def test_one_that_expired_can_not_be_captured(app):
    hold = app.post(HOLDS, amount="0.8", seconds=1).json()["id"]
    Hold.objects.update(expires_at="2020-01-01T00:00:00Z")
    services.sweep_stale_holds()
    assert "expired" in refusal(act(app, hold, "capture"), 409)


def test_what_the_balance_does_not_cover_is_answered_with_a_link_and_claims_no_key(app):
    key = {"Idempotency-Key": "job-1"}
    refused = app.post(HOLDS, amount="1.5", headers=key).json()
    assert refused["success"] is False
    assert "/t/" in refused["message"]
    app.post(DEPOSIT, amount="1")
    placed = app.post(HOLDS, amount="1.5", headers=key)
    again = app.post(HOLDS, amount="1.5", headers=key)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == placed.json()
    refusal(app.post(HOLDS, amount="1.4", headers=key), 422, "Idempotency-Key")
    assert Hold.objects.count() == 1


def test_a_capture_with_a_key_is_replayed_as_it_was(app):
    hold = app.post(HOLDS, amount="0.8").json()["id"]
    key = {"Idempotency-Key": "capture-1"}
    first = act(app, hold, "capture", amount="0.3", headers=key)
    again = act(app, hold, "capture", amount="0.3", headers=key)
    assert (again["Idempotent-Replayed"], again.json()) == ("true", first.json())
    refusal(act(app, hold, "capture", amount="0.4", headers=key), 422, "Idempotency-Key")


@pytest.mark.parametrize("seconds", [0, -1, 86_401, "soon", 1.5])
def test_unusable_seconds_are_refused(app, seconds):
    refusal(app.post(HOLDS, amount="0.8", seconds=seconds), 400, "seconds")
    assert not IdempotencyKey.objects.filter(endpoint="hold").exists()


def test_another_paywalls_hold_is_not_there(app):
    hold = app.post(HOLDS, amount="0.8").json()["id"]
    for stranger, name in ((App(), hold), (app, "hld_1"), (app, "req_" + hold[4:]), (app, f"hld_{'0' * 32}")):
        refusal(act(stranger, name, "capture"), 404)
        refusal(act(stranger, name, "release"), 404)


@pytest.mark.django_db(transaction=True)
def test_the_books_sum_after_holds_of_every_ending():
    app = App(trial_credit=10 * NANO)
    holds = [app.post(HOLDS, amount="0.5").json()["id"] for _ in range(3)]
    act(app, holds[0], "capture", amount="0.1")
    act(app, holds[1], "release")
    assert list(verify()) == []
