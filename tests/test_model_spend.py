"""What each end user may spend on one model in a day and a month: counted with the hold, exact under concurrency."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config import ids
from config.money import NANO
from ledger import services, tasks, verification
from ledger.errors import InsufficientFunds, ModelLimitReached, Refusal, SpendLimitReached
from ledger.models import Hold, ModelSpend
from ledger.operations import Capture, Held, OnModel, Operation, PlaceHold, Release
from ledger.posting import post, post_one
from ledger.windows import Limits
from paywalls.users import UserRef
from tests.factories import make_connection, make_paywall, make_wallet_user
from tests.threads import in_threads

pytestmark = pytest.mark.django_db

SMALL, LARGE = ids.new(), ids.new()


@pytest.fixture
def alice() -> UserRef:
    """Somebody with 10,000 nano-dollars."""
    user = UserRef(make_paywall(trial_credit=0).pk, "alice")
    services.deposit(user, 10_000, source=f"d:{ids.new().hex}")
    return user


def hold(user: UserRef, amount: int, on_model: Limits, model: Any = SMALL, **more: Any) -> PlaceHold:
    return PlaceHold(user, ids.new(), amount, 60, on_model=OnModel(model, on_model), **more)


def used(model: Any = SMALL) -> tuple[int, int]:
    """(day, month) of the only payer."""
    row = ModelSpend.objects.get(model_id=model)
    return row.day_used, row.month_used


def assert_day_sums() -> None:
    [rule] = [rule for rule in verification.RULES if rule.name.startswith("what was spent on a model")]
    with connection.cursor() as cursor:
        cursor.execute(rule.statement)
        assert cursor.fetchall() == []


def day(limit: int) -> Limits:
    return Limits(day=limit)


def test_what_is_held_counts_and_the_settlement_corrects_it(alice: UserRef) -> None:
    place = hold(alice, 80, day(100))
    held = post_one(place)
    assert isinstance(held, Held)
    assert used() == (80, 80)
    with pytest.raises(ModelLimitReached) as refused:
        post_one(hold(alice, 21, day(100)))
    assert (refused.value.period, refused.value.limit, refused.value.used, refused.value.room) == (
        "day",
        100,
        80,
        20,
    )
    post_one(Capture(held.account_id, place.hold_id, 30, "usage:1", model_spend=held.model_spend))
    assert used() == (30, 30)
    other = hold(alice, 70, day(100))
    again = post_one(other)
    assert isinstance(again, Held)
    post_one(Release(held.account_id, other.hold_id, model_spend=again.model_spend))
    assert used() == (30, 30)
    assert_day_sums()


def test_a_months_limit_refuses_too_and_says_when_it_resets(alice: UserRef) -> None:
    post_one(hold(alice, 80, Limits(month=100)))
    with pytest.raises(ModelLimitReached) as refused:
        post_one(hold(alice, 21, Limits(month=100)))
    assert refused.value.period == "month"
    assert refused.value.resets_at.day == 1


def test_each_model_and_each_user_has_its_own(alice: UserRef) -> None:
    bob = UserRef(alice.paywall_id, "bob")
    services.deposit(bob, 1_000, source="d:bob")
    for place in (hold(alice, 100, day(100)), hold(alice, 100, day(100), LARGE), hold(bob, 100, day(100))):
        assert isinstance(post_one(place), Held)
    for place in (hold(alice, 1, day(100)), hold(alice, 1, day(100), LARGE), hold(bob, 1, day(100))):
        assert isinstance(post([place])[0], ModelLimitReached)
    assert_day_sums()


def test_it_stands_beside_the_users_own_limit_and_both_must_fit(alice: UserRef) -> None:
    [users] = post([hold(alice, 60, day(100), limits=day(50))])
    assert isinstance(users, SpendLimitReached)
    assert not isinstance(users, ModelLimitReached)
    services.configure_wallet(alice, services.WalletSettings(limits=day(1_000)))
    [models] = post([hold(alice, 101, day(100), limits=day(50))])
    assert isinstance(models, ModelLimitReached), (
        "the user's own limit replaces the paywall's, not the model's"
    )


def test_a_refusal_counts_nothing(alice: UserRef) -> None:
    [refused] = post([hold(alice, 10_001, day(20_000))])
    assert isinstance(refused, InsufficientFunds)
    assert not ModelSpend.objects.exists()


def test_in_one_batch_each_is_decided_on_what_the_ones_before_left(alice: UserRef) -> None:
    outcomes = post([hold(alice, 30, day(100)) for _ in range(5)])
    assert [type(outcome) for outcome in outcomes] == [Held] * 3 + [ModelLimitReached] * 2
    assert used() == (90, 90)


def test_the_same_request_counts_once(alice: UserRef) -> None:
    place = hold(alice, 80, day(100))
    first, again = post_one(place), post_one(place)
    assert isinstance(first, Held)
    assert isinstance(again, Held)
    assert (again.replayed, again.model_spend) == (True, first.model_spend)
    assert used() == (80, 80)


def test_what_the_sweeper_frees_is_free_and_a_late_settlement_counts(alice: UserRef) -> None:
    place = PlaceHold(alice, ids.new(), 80, -1, on_model=OnModel(SMALL, day(100)))
    held = post_one(place)
    assert isinstance(held, Held)
    assert services.sweep_stale_holds() == 1
    assert used() == (0, 0)
    services.settle(held.account_id, place.hold_id, 30)
    assert used() == (30, 30)
    assert_day_sums()


@pytest.mark.parametrize("before", [1, 40])
def test_a_new_day_begins_at_nothing_and_a_late_settlement_is_of_its_own_day(
    alice: UserRef, before: int
) -> None:
    place = hold(alice, 80, day(100))
    held = post_one(place)
    assert isinstance(held, Held)
    today = Hold.objects.get().counted_on
    assert today
    then = today - timedelta(days=before)
    # As if it had been placed so many days ago.
    ModelSpend.objects.update(window_day=then)
    Hold.objects.update(counted_on=then)
    post_one(hold(alice, 10, day(100)))
    same_month = (then.year, then.month) == (today.year, today.month)
    assert used() == (10, 90 if same_month else 10)
    post_one(Capture(held.account_id, place.hold_id, 30, "usage:1", model_spend=held.model_spend))
    assert used() == (10, 40 if same_month else 10)


def test_what_of_a_month_is_over_is_forgotten_and_settled_all_the_same(alice: UserRef) -> None:
    place = hold(alice, 80, day(100))
    held = post_one(place)
    assert isinstance(held, Held)
    assert tasks.forget_model_spends() == 0
    ModelSpend.objects.update(window_day=date(2020, 1, 31))
    assert tasks.forget_model_spends() == 1
    post_one(Capture(held.account_id, place.hold_id, 30, "usage:1", model_spend=held.model_spend))
    assert not ModelSpend.objects.exists()
    assert Hold.objects.get().captured == 30


def test_in_shared_mode_it_is_the_end_users_and_not_the_wallets() -> None:
    payer = make_wallet_user(balance=10 * NANO)
    users = [UserRef(make_paywall(mode="shared").pk, "alice") for _ in range(2)]
    for user in users:
        make_connection(user, payer)
        assert isinstance(post_one(hold(user, 100, day(100))), Held)
        with pytest.raises(ModelLimitReached):
            post_one(hold(user, 1, day(100)))
    assert ModelSpend.objects.count() == 2
    assert_day_sums()


def sql_of(*operations: Operation) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        for operation in operations:
            post_one(operation)
    return [query["sql"] for query in seen]


def test_without_a_models_limit_nothing_more_is_asked_or_written(alice: UserRef) -> None:
    first = post_one(hold(alice, 1, day(100)))
    assert isinstance(first, Held)
    wallet, spend, one, two = first.account_id, first.model_spend, ids.new(), ids.new()
    without = sql_of(PlaceHold(wallet, one, 10, 60), Capture(wallet, one, 5, "usage:1"))
    assert not any("ledger_modelspend" in sql for sql in without)
    on_model = OnModel(SMALL, day(100))
    limited = sql_of(
        PlaceHold(wallet, two, 10, 60, on_model=on_model),
        Capture(wallet, two, 5, "usage:2", model_spend=spend),
    )
    # One statement reads and one writes, in round trips that are there anyway.
    assert len(limited) == len(without) + 4


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_as_many_as_fit_go_through(alice: UserRef) -> None:
    outcomes = in_threads(8, lambda _: post([hold(alice, 30, day(200)) for _ in range(3)]))
    flat = [outcome for batch in outcomes for outcome in batch]
    assert sum(isinstance(outcome, Held) for outcome in flat) == 6
    assert all(isinstance(outcome, ModelLimitReached) for outcome in flat if isinstance(outcome, Refusal))
    assert used() == (180, 180)
    assert list(verification.verify()) == []
