"""What the database itself refuses of prices, whoever writes, and what happens to those it had."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from config.money import NANO
from paywalls import services
from paywalls.errors import InvalidSetting
from paywalls.models import PaywallModel
from tests.factories import make_model

TIER = {"above": 10, "prompt": 1, "completion": 2}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_price": -1},
        {"completion_price": -1},
        {"cache_read_price": -1},
        {"cache_write_price": -1},
        {"request_price": -1},
        {"minimum_price": -1},
        {"image_price": -1},
        {"prompt_price": None},
        {"completion_price": None},
        {"prompt_price": 0, "completion_price": 0},
        {"free": True},
        {"prompt_price": 0, "completion_price": 0, "free": True, "tiers": [TIER]},
        {"prompt_cost": -1, "completion_cost": 1, "cost_source": "operator"},
        {"prompt_cost": 1, "cost_source": "operator"},
        {"completion_cost": 1, "cost_source": "operator"},
        {"prompt_cost": 1, "completion_cost": 1},
        {"cost_source": "operator"},
        {"request_cost": -1},
        {"image_cost": -1},
        {"tiers": {}},
        {"tiers": None},
        {"tiers": [1]},
        {"tiers": [{"above": 1, "prompt": 1}]},
        {"tiers": [{**TIER, "prompt": -1}]},
        {"tiers": [{**TIER, "prompt": 1.5}]},
        {"tiers": [{**TIER, "prompt": "1"}]},
        {"tiers": [{**TIER, "cache_read": None}]},
        {"tiers": [{**TIER, "above": 0}]},
        {"tiers": [{**TIER, "over": 1}]},
        {"tiers": [TIER, TIER]},
        {"tiers": [{**TIER, "above": size} for size in range(1, 10)]},
        {"cost_tiers": [{**TIER, "prompt": -1}]},
    ],
)
def test_a_row_that_is_refused(changes: dict[str, Any]) -> None:
    model = make_model()
    with pytest.raises(IntegrityError), transaction.atomic():
        PaywallModel.objects.filter(pk=model.pk).update(**changes)


@pytest.mark.django_db
def test_nan_is_no_number_to_it() -> None:
    make_model()
    with pytest.raises(DataError), transaction.atomic():
        PaywallModel.objects.update(tiers=[{**TIER, "prompt": float("nan")}])


@pytest.mark.django_db
def test_what_is_sound_is_taken_and_read() -> None:
    tiers = [TIER, {**TIER, "above": 20, "cache_read": 0, "cache_write": 3}]
    model = make_model(tiers=tiers, prompt_cost=0, completion_cost=0, cost_tiers=tiers)
    model.refresh_from_db()
    assert [tier.above for tier in model.price(0).tiers] == [10, 20]
    cost = model.cost()
    assert cost is not None
    assert cost.rates(21).read == 0
    model.full_clean()


@pytest.mark.django_db
def test_django_checks_the_same_before_it_writes() -> None:
    model = make_model()
    model.tiers = [{**TIER, "prompt": -1}]
    with pytest.raises(ValidationError, match="model_tiers_sound"):
        model.full_clean()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"prompt_price": -1}, "prompt_price"),
        ({"prompt_price": None}, "prompt_price"),
        ({"prompt_price": float("nan")}, "prompt_price"),
        ({"cache_read_price": 1.0}, "cache_read_price"),
        ({"prompt_price": 0, "completion_price": 0}, "free"),
        ({"free": True}, "free"),
        ({"free": "yes"}, "free"),
        ({"prompt_cost": 1}, "completion_cost"),
        ({"image_cost": 1}, "prompt_cost"),
        ({"tiers": [{"above": 1}]}, "tiers"),
        ({"tiers": [{**TIER, "cache_read": -1}]}, "tiers"),
        ({"tiers": "x"}, "tiers"),
    ],
)
def test_services_say_which_setting_to_change(settings: dict[str, Any], fault: str) -> None:
    model = make_model()
    with pytest.raises(InvalidSetting) as refused:
        services.update_model(model, **settings)
    assert refused.value.param == fault


@pytest.mark.django_db
def test_a_price_that_falls_to_zero_has_to_be_confirmed_again() -> None:
    model = make_model(prompt_price=0, completion_price=0, free=True)
    services.update_model(model, prompt_price=1, free=False)
    with pytest.raises(InvalidSetting):
        services.update_model(model, prompt_price=0)
    services.update_model(model, prompt_price=0, free=True)


@pytest.mark.django_db(transaction=True)
def test_who_sold_at_zero_before_goes_on() -> None:
    before, after = [("paywalls", "0003_provider_surfaces")], [("paywalls", "0004_prices_and_costs")]
    latest = list(MigrationExecutor(connection).loader.graph.leaf_nodes())
    make_model(model_id="gift", prompt_price=0, completion_price=0, free=True)
    make_model(model_id="paid", prompt_price=1 * NANO)
    try:
        MigrationExecutor(connection).migrate(before)
        MigrationExecutor(connection).migrate(after)
        apps: Any = MigrationExecutor(connection).loader.project_state(after).apps
        models: type[Model] = apps.get_model("paywalls", "PaywallModel")
        assert dict(models._default_manager.values_list("model_id", "free")) == {"gift": True, "paid": False}
    finally:
        MigrationExecutor(connection).migrate(latest)
