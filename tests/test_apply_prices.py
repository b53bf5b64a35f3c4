"""Prices and costs in the configuration file: every part, zero confirmed, losses told, nonsense refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from config.money import NANO
from paywalls.configuration import InvalidDocument, apply_document
from paywalls.models import Paywall, PaywallModel

pytestmark = pytest.mark.django_db

DOLLARS = 'must be a decimal string of US dollars such as "0.25"'
PRICING: dict[str, Any] = {"prompt": "3", "completion": "15"}
FULL: dict[str, Any] = {
    "prompt": "3",
    "completion": "15",
    "cache_read": "0.3",
    "cache_write": "3.75",
    "request": "0.001",
    "minimum": "0.002",
    "image": "0.004",
    "tiers": [
        {"above": 200_000, "prompt": "6", "completion": "22.5"},
        {"above": 500_000, "prompt": "7", "completion": "25", "cache_read": "0", "cache_write": "8"},
    ],
}
STORED_TIERS = [
    {"above": 200_000, "prompt": 6 * NANO, "completion": 22_500_000_000},
    {
        "above": 500_000,
        "prompt": 7 * NANO,
        "completion": 25 * NANO,
        "cache_read": 0,
        "cache_write": 8 * NANO,
    },
]


def document(**model: Any) -> dict[str, Any]:
    sold = {"id": "big", "provider": "up", "upstream_model": "big", "pricing": PRICING, **model}
    provider = {"name": "up", "base_url": "https://up.test/v1"}
    paywall = {
        "name": "Chat",
        "markup_percent": "10",
        "providers": [provider],
        "models": [{name: value for name, value in sold.items() if value is not ...}],
    }
    return {"tenant": {"name": "Acme", "email": "ops@acme.test"}, "paywalls": [paywall]}


def apply(**model: Any) -> PaywallModel:
    apply_document(document(**model), {})
    return PaywallModel.objects.get()


def faults(**model: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        apply_document(document(**model), {})
    assert not PaywallModel.objects.exists()
    return [fault.removeprefix("paywalls[0].models[0].") for fault in refused.value.faults]


def parts(model: PaywallModel, kind: str) -> tuple[int | None, ...]:
    names = ("prompt", "completion", "cache_read", "cache_write", "request", "minimum", "image")
    return tuple(getattr(model, f"{name}_{kind}") for name in names)


NANO_PARTS = (3 * NANO, 15 * NANO, 300_000_000, 3_750_000_000, 1_000_000, 2_000_000, 4_000_000)


def test_every_part_of_a_price_is_stored() -> None:
    model = apply(pricing=FULL)
    assert parts(model, "price") == NANO_PARTS
    assert model.tiers == STORED_TIERS
    assert (model.cost(), model.cost_source, model.free) == (None, "", False)


def test_every_part_of_a_cost_is_stored_as_typed_by_an_operator() -> None:
    model = apply(cost=FULL)
    assert parts(model, "cost") == NANO_PARTS
    assert (model.cost_tiers, model.cost_source) == (STORED_TIERS, "operator")
    assert parts(model, "price") == (3 * NANO, 15 * NANO, None, None, 0, 0, 0)


def test_what_is_not_given_any_more_takes_its_default() -> None:
    apply(pricing=FULL)
    assert parts(apply(), "price") == (3 * NANO, 15 * NANO, None, None, 0, 0, 0)
    assert apply().tiers == []


def test_a_cost_that_is_not_given_any_more_stays() -> None:
    apply(cost=FULL)
    assert apply().cost_tiers == STORED_TIERS


def test_a_cost_that_was_looked_up_stays_until_one_is_given() -> None:
    apply(cost=FULL)
    PaywallModel.objects.update(cost_source="genai-prices")
    assert apply().cost_source == "genai-prices"
    assert apply(cost=FULL).cost_source == "operator"


def test_applying_prices_again_writes_nothing() -> None:
    apply(pricing=FULL, cost=FULL)
    version = Paywall.objects.get().config_version
    apply(pricing=FULL, cost=FULL)
    assert Paywall.objects.get().config_version == version


def test_zero_is_a_price_where_it_is_confirmed() -> None:
    zero = {"prompt": "0", "completion": "0"}
    assert faults(pricing=zero) == [
        "free: must be set to true where every price is zero, to confirm it",
    ]
    assert apply(pricing=zero, free=True).free
    assert not apply(pricing={**zero, "request": "0.01"}).free


@pytest.mark.parametrize(
    "priced", [{"request": "0.01"}, {"image": "1"}, {"cache_write": "1"}, {"tiers": FULL["tiers"]}]
)
def test_a_model_with_a_price_is_not_free(priced: dict[str, Any]) -> None:
    pricing = {"prompt": "0", "completion": "0", **priced}
    assert faults(pricing=pricing, free=True) == ["free: must not be set for a model that has a price"]


@pytest.mark.parametrize("section", ["pricing", "cost"])
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"prompt": ...}, "prompt: is required"),
        ({"completion": "NaN"}, f"completion: {DOLLARS}"),
        ({"cache_read": "-1"}, f"cache_read: {DOLLARS}"),
        ({"cache_write": None}, f"cache_write: {DOLLARS} (there is nothing after the key)"),
        ({"image": "1e3"}, f"image: {DOLLARS}"),
        (
            {"image": "0.0000000001"},
            "image: must have at most 9 decimals (the smallest unit is 0.000000001 USD)",
        ),
        ({"tiers": "x"}, "tiers: must be a list (write [] for none)"),
        ({"tiers": [{"above": 1, "prompt": "1"}]}, "tiers[0].completion: is required"),
        ({"tiers": [{**PRICING, "above": 1, "prompt": "-1"}]}, f"tiers[0].prompt: {DOLLARS}"),
        (
            {"tiers": [{**PRICING, "above": 0}]},
            "tiers[0].above: must be a whole number of tokens from 1 to 100000000",
        ),
        (
            {"tiers": [{**PRICING, "above": 1.5}]},
            "tiers[0].above: must be a whole number of tokens from 1 to 100000000",
        ),
        (
            {"tiers": [{**PRICING, "above": 5}, {**PRICING, "above": 5}]},
            "tiers: must go up: each tier is above more tokens than the one before",
        ),
        (
            {"tiers": [{**PRICING, "above": size} for size in range(1, 10)]},
            "tiers: must be a list of at most 8 tiers",
        ),
        (
            {"tiers": [{**PRICING, "above": 1, "over": 1}]},
            'tiers[0]: unknown key "over": did you mean "above"?',
        ),
    ],
)
def test_a_price_that_is_refused(section: str, changes: dict[str, Any], fault: str) -> None:
    prices = {name: value for name, value in {**PRICING, **changes}.items() if value is not ...}
    assert faults(**{section: prices}) == [f"{section}.{fault}"]


def test_free_is_true_or_false() -> None:
    assert faults(free="yes") == ["free: must be true or false, without quotes"]


def test_selling_below_cost_is_a_warning_beside_the_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 10 % on $3 and $15 covers $3.30, not $16.51; above 100,000 tokens the prompt is not covered, either.
    cost = {
        "prompt": "3.3",
        "completion": "16.51",
        "tiers": [{"above": 100_000, "prompt": "3.4", "completion": "16.51"}],
    }
    file = tmp_path / "shop.yaml"
    file.write_text(json.dumps(document(cost=cost)))
    call_command("apply", str(file))
    told = capsys.readouterr()
    assert json.loads(told.out)["paywalls"][0]["name"] == "Chat"
    assert told.err.splitlines() == [
        "warning: Chat: big: completion is sold at $16.5 and costs $16.51",
        "warning: Chat: big: prompt above 100000 tokens is sold at $3.3 and costs $3.4",
        "warning: Chat: big: cache_read above 100000 tokens is sold at $3.3 and costs $3.4",
        "warning: Chat: big: cache_write above 100000 tokens is sold at $3.3 and costs $3.4",
    ]


def test_selling_at_cost_is_no_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(json.dumps(document(cost={"prompt": "3.3", "completion": "16.5"})))
    call_command("apply", str(file))
    assert capsys.readouterr().err == ""
