"""The same key is the same cause: retries and concurrent requests count once."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from config.money import NANO
from ledger import idempotency
from ledger.models import IdempotencyKey, TopUpLink, Transfer
from paywalls.models import EndUser
from tests.app import CHARGE, DEPOSIT, TOPUP, App, refusal
from tests.threads import at_once


@pytest.fixture
def app(db: None) -> App:
    return App()


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
@pytest.mark.parametrize("path", [DEPOSIT, CHARGE])
def test_fifty_at_once_with_one_key_count_once_and_who_waits_is_told(path: str) -> None:
    app = App(trial_credit=10 * NANO)
    app.get(TOPUP)
    key = {"Idempotency-Key": "order-1"}
    answers = at_once(50, lambda: app.post(path, amount="1", headers=key))
    assert len(answers) == 50
    done = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer not in done:
            refusal(answer, 409, "Idempotency-Key")
            assert answer["Retry-After"] == "1"
    assert all(answer.json() == done[0].json() for answer in done)
    assert sum("Idempotent-Replayed" not in answer for answer in done) == 1
    assert app.posted() == (11 if path == DEPOSIT else 9) * NANO
    again = app.post(path, amount="1", headers=key)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == done[0].json()


@pytest.mark.django_db(transaction=True)
def test_a_key_in_flight_answers_409_and_its_rollback_leaves_neither_key_nor_effect() -> None:
    app = App()
    key = {"Idempotency-Key": "order-1"}
    retries = []

    def retry_and_die(*args: Any, **kwargs: Any) -> None:
        retries.extend(at_once(1, lambda: app.post(DEPOSIT, amount="1", headers=key)))
        raise RuntimeError("killed between the effect and its key")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IdempotencyKey.objects, "create", retry_and_die)
        assert app.post(DEPOSIT, amount="1", headers=key).status_code == 500
    refusal(retries[0], 409, "Idempotency-Key")
    assert (app.posted(), IdempotencyKey.objects.count()) == (0, 0)
    assert "Idempotent-Replayed" not in app.post(DEPOSIT, amount="1", headers=key)
    assert app.posted() == NANO


def test_a_refused_request_claims_no_key(app: App) -> None:
    key = {"Idempotency-Key": "order-1"}
    refusal(app.post(DEPOSIT, amount="-1", headers=key), 400, "amount")
    assert not IdempotencyKey.objects.exists()
    assert app.post(DEPOSIT, amount="1", headers=key).status_code == 200


def test_old_answers_are_forgotten_and_money_still_moves_once(app: App) -> None:
    key = {"Idempotency-Key": "order-1"}
    first = app.post(DEPOSIT, amount="1", headers=key)
    assert idempotency.forget_old() == 0
    IdempotencyKey.objects.update(created_at=timezone.now() - idempotency.KEPT - timedelta(seconds=1))
    assert idempotency.forget_old() == 1
    again = app.post(DEPOSIT, amount="1", headers=key)
    assert again.json() == first.json()
    refusal(app.post(DEPOSIT, amount="2", headers={"Idempotency-Key": "order-1"}), 422, "Idempotency-Key")
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
