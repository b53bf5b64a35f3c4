"""Routes and time-outs in the configuration file: every fault at its key, and nothing written."""

from typing import Any

import pytest

from paywalls import routes
from paywalls.configuration import InvalidDocument, apply_document
from paywalls.models import Route

pytestmark = pytest.mark.django_db

GOOD: dict[str, Any] = {"provider": "second", "upstream_model": "up"}
PRICING: dict[str, Any] = {"prompt": "3", "completion": "15"}


def apply(described: Any, **provider: Any) -> None:
    model = {"id": "m", "provider": "first", "upstream_model": "up", "pricing": PRICING, "routes": described}
    providers = [
        {"name": name, "base_url": f"https://{name}.test/v1", "api_key": "k"} for name in ("first", "second")
    ]
    providers[0] |= provider
    paywall = {"name": "Acme Chat", "providers": providers, "models": [model]}
    apply_document({"tenant": {"name": "Acme", "email": "ops@acme.test"}, "paywalls": [paywall]}, {})


def faults(described: Any, **provider: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        apply(described, **provider)
    return [fault.removeprefix("paywalls[0].") for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("described", "fault"),
    [
        ({}, "models[0].routes: must be a list"),
        (["second"], "models[0].routes[0]: must be a mapping"),
        ([{"upstream_model": "up"}], "models[0].routes[0].provider"),
        ([{"provider": "second"}], "models[0].routes[0].upstream_model"),
        ([{**GOOD, "provider": "third"}], "models[0].routes[0].provider"),
        ([{**GOOD, "weigth": 2}], 'models[0].routes[0]: unknown key "weigth"'),
        ([{**GOOD, "weight": 0}], "models[0].routes[0].weight"),
        ([{**GOOD, "weight": 1.5}], "models[0].routes[0].weight"),
        ([{**GOOD, "priority": -1}], "models[0].routes[0].priority"),
        ([{**GOOD, "priority": 1_001}], "models[0].routes[0].priority"),
        ([{**GOOD, "pricing": {"prompt": "1"}}], "models[0].routes[0].pricing.completion"),
        ([{**GOOD, "pricing": {**PRICING, "prompt": -1}}], "models[0].routes[0].pricing.prompt"),
        ([{**GOOD, "pricing": {"prompt": "0", "completion": "0"}}], "models[0].routes[0].pricing"),
        ([{**GOOD, "cost": {**PRICING, "free": True}}], "models[0].routes[0].cost"),
        ([GOOD, GOOD], "models[0].routes[1]"),
        ([{**GOOD, "provider": "first"}], "models[0].routes[0]"),
    ],
)
def test_a_fault_of_a_route_stands_at_its_key_and_nothing_is_written(described: Any, fault: str) -> None:
    [told] = faults(described)
    assert told.startswith(fault)
    assert not Route.objects.exists()


def test_a_fault_in_a_known_route_leaves_what_is_there() -> None:
    apply([{**GOOD, "weight": 3}])
    [told] = faults([{**GOOD, "weight": "heavy"}])
    assert told.startswith("models[0].routes[0].weight")
    assert Route.objects.get().weight == 3


@pytest.mark.parametrize("seconds", [0, -1, "soon", 100_000])
def test_a_time_out_that_is_none_is_refused(seconds: Any) -> None:
    [told] = faults([GOOD], first_byte_seconds=seconds)
    assert told.startswith("providers[0].first_byte_seconds")


def test_routes_that_are_right_are_written_in_their_order() -> None:
    apply([{**GOOD, "priority": 2}, {**GOOD, "upstream_model": "other"}])
    assert list(Route.objects.values_list("upstream_model", "priority")) == [("other", 1), ("up", 2)]
    apply([])
    assert not Route.objects.exists()


def test_a_cost_that_the_file_does_not_give_stays_as_it_is_known() -> None:
    apply([GOOD])
    route = Route.objects.get()
    assert (route.cost, route.cost_source) == (None, "")
    looked_up = {"prompt": 1, "completion": 2}
    routes.update_route(route, cost=looked_up, cost_source="genai-prices")
    apply([{**GOOD, "weight": 2}])
    route.refresh_from_db()
    assert (route.weight, route.cost, route.cost_source) == (2, looked_up, "genai-prices")
    apply([{**GOOD, "cost": {"prompt": "3", "completion": "4"}}])
    route.refresh_from_db()
    assert (route.cost["prompt"], route.cost_source) == (3_000_000_000, "operator")
