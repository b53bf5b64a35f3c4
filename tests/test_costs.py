"""What providers charge: looked up without a network, never over what an operator typed, losses told."""

from collections.abc import Iterator
from datetime import UTC, time
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from genai_prices import types
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot

from config.money import NANO
from paywalls import costs, routes
from paywalls.models import Paywall, PaywallModel, Route
from tests.factories import make_model, make_paywall, make_provider

BASE_URL = "https://api.up.test/v1"


def tiered(base: str, *tiers: tuple[int, str]) -> types.TieredPrices:
    return types.TieredPrices(
        Decimal(base), [types.Tier(start=start, price=Decimal(price)) for start, price in tiers]
    )


def priced(**parts: str | types.TieredPrices) -> types.ModelPrice:
    return types.ModelPrice(
        **{name: Decimal(part) if isinstance(part, str) else part for name, part in parts.items()}
    )


MODELS: dict[str, Any] = {
    "small": priced(input_mtok="0.15", output_mtok="0.6", cache_read_mtok="0.075"),
    "large": priced(
        input_mtok=tiered("3", (200_000, "6")),
        output_mtok=tiered("15", (200_000, "22.5"), (500_000, "30")),
        cache_write_mtok="3.75",
        requests_kcount="5",
    ),
    "embedding": priced(input_mtok="0.02"),
    "fine": priced(input_mtok="0.0000000001", output_mtok="0"),
    "sound": priced(input_audio_mtok="40", output_audio_mtok="80"),
    "steps": priced(input_mtok=tiered("1", *((start, "2") for start in range(1, 10))), output_mtok="1"),
    "nightly": [
        types.ConditionalPrice(prices=priced(input_mtok="1", output_mtok="2")),
        types.ConditionalPrice(
            constraint=types.TimeOfDateConstraint(time(3, tzinfo=UTC), time(5, tzinfo=UTC)),
            prices=priced(input_mtok="4", output_mtok="8"),
        ),
    ],
}


@pytest.fixture
def data() -> Iterator[None]:
    """Known prices in place of the package's own."""
    models = [
        types.ModelInfo(id=name, match=types.ClauseEquals(name), prices=prices)
        for name, prices in MODELS.items()
    ]
    up = types.Provider(id="up", name="Up", api_pattern=r"https://api\.up\.test", models=models)
    set_custom_snapshot(DataSnapshot([up], from_auto_update=False))
    yield
    set_custom_snapshot(None)


def found(name: str, base_url: str = BASE_URL) -> dict[str, Any]:
    settings = costs.look_up(base_url, name)
    assert settings is not None
    return {part: value for part, value in settings.items() if value not in (None, 0, [])}


# --- Reading the data --------------------------------------------------------------------------------------


def test_the_package_knows_a_well_known_model() -> None:
    settings = costs.look_up("https://api.openai.com/v1", "gpt-4o-mini")
    assert settings
    assert (settings["prompt_cost"], settings["completion_cost"]) == (150_000_000, 600_000_000)


@pytest.mark.usefixtures("data")
class TestLookUp:
    def test_prices_per_token_become_nano_dollars(self) -> None:
        small = {"prompt_cost": 150_000_000, "completion_cost": 600_000_000, "cache_read_cost": 75_000_000}
        assert found("small") == small

    def test_tiers_are_whole_rates_at_each_size_where_any_changes(self) -> None:
        assert found("large") == {
            "prompt_cost": 3 * NANO,
            "completion_cost": 15 * NANO,
            "cache_write_cost": 3_750_000_000,
            "request_cost": 5_000_000,
            "cost_tiers": [
                {
                    "above": 200_000,
                    "prompt": 6 * NANO,
                    "completion": 22_500_000_000,
                    "cache_write": 3_750_000_000,
                },
                {
                    "above": 500_000,
                    "prompt": 6 * NANO,
                    "completion": 30 * NANO,
                    "cache_write": 3_750_000_000,
                },
            ],
        }

    def test_embeddings_have_no_output_to_pay_for(self) -> None:
        assert found("embedding") == {"prompt_cost": 20_000_000}

    def test_less_than_a_nano_dollar_is_one(self) -> None:
        assert found("fine") == {"prompt_cost": 1}

    def test_of_prices_that_change_over_the_day_the_dearest_counts(self) -> None:
        assert found("nightly") == {"prompt_cost": 4 * NANO, "completion_cost": 8 * NANO}

    @pytest.mark.parametrize("name", ["sound", "steps", "nonesuch"])
    def test_what_has_no_price_that_fits_is_unknown(self, name: str) -> None:
        assert costs.look_up(BASE_URL, name) is None

    @pytest.mark.parametrize("address", ["sandbox://", "https://gateway.test/v1", "http://127.0.0.1:9"])
    def test_an_address_that_nobody_knows_is_not_guessed_at(self, address: str) -> None:
        assert costs.look_up(address, "small") is None


# --- manage.py sync_prices -----------------------------------------------------------------------------------


def sold(paywall: Paywall, name: str, **settings: Any) -> PaywallModel:
    provider = paywall.providers.first() or make_provider(paywall, base_url=BASE_URL)
    defaults = {"prompt_price": 1 * NANO, "completion_price": 2 * NANO}
    return make_model(paywall, provider, **{"model_id": name, "upstream_model": name, **defaults, **settings})


def sync(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[list[str], list[str]]:
    call_command("sync_prices", *args)
    told = capsys.readouterr()
    return told.out.splitlines(), told.err.splitlines()


@pytest.mark.django_db
@pytest.mark.usefixtures("data")
class TestSync:
    def test_it_fills_in_what_it_knows_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = make_paywall(name="Chat")
        small, other = sold(chat, "small"), sold(chat, "unheard-of")
        out, err = sync(capsys)
        assert out == [
            "Chat: small: unknown -> $0.15 / $0.6",
            "Chat: unheard-of: not found in genai-prices",
            f"1 of 2 changed (genai-prices {costs.version()})",
        ]
        assert err == []
        small.refresh_from_db()
        other.refresh_from_db()
        assert (small.prompt_cost, small.cache_read_cost) == (150_000_000, 75_000_000)
        assert (small.cost_source, other.cost_source, other.prompt_cost) == ("genai-prices", "", None)

    def test_again_it_writes_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = make_paywall()
        sold(chat, "large")
        sync(capsys)
        version = Paywall.objects.get().config_version
        out, _ = sync(capsys)
        assert out[0].endswith("large: unchanged")
        assert Paywall.objects.get().config_version == version

    def test_a_dry_run_tells_the_same_and_writes_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = make_paywall(name="Chat")
        model = sold(chat, "large")
        out, err = sync(capsys, "--dry-run")
        assert out == [
            "Chat: large: unknown -> $3 / $15, $6 / $22.5 above 200000, $6 / $30 above 500000",
            f"1 of 1 would change (genai-prices {costs.version()})",
        ]
        assert "warning: Chat: large: prompt is sold at $1 and costs $3" in err
        model.refresh_from_db()
        assert (model.prompt_cost, model.cost_source) == (None, "")

    def test_what_an_operator_typed_stays_unless_forced(self, capsys: pytest.CaptureFixture[str]) -> None:
        model = sold(make_paywall(name="Chat"), "small", prompt_cost=7, completion_cost=8)
        out, _ = sync(capsys)
        assert out[0] == "Chat: small: kept: an operator typed it"
        model.refresh_from_db()
        assert (model.prompt_cost, model.cost_source) == (7, "operator")

        out, _ = sync(capsys, "--force")
        assert out[0] == "Chat: small: $0.000000007 / $0.000000008 -> $0.15 / $0.6"
        model.refresh_from_db()
        assert (model.prompt_cost, model.cost_source) == (150_000_000, "genai-prices")

    def test_a_looked_up_cost_that_an_operator_changes_is_theirs(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from paywalls import services

        model = sold(make_paywall(), "small")
        sync(capsys)
        model.refresh_from_db()
        services.update_model(model, description="Cheap.", prompt_cost=model.prompt_cost)
        assert model.cost_source == "genai-prices"
        services.update_model(model, prompt_cost=1)
        assert model.cost_source == "operator"

    def test_it_warns_of_every_loss(self, capsys: pytest.CaptureFixture[str]) -> None:
        chat = make_paywall(name="Chat", markup_percent=Decimal(50))
        sold(chat, "nightly", prompt_price=2 * NANO, completion_price=6 * NANO)
        _, err = sync(capsys)
        assert err == [
            f"warning: Chat: nightly: {part} is sold at $3 and costs $4"
            for part in ("prompt", "cache_read", "cache_write")
        ]

    def test_a_further_route_has_its_own_cost_and_its_own_losses(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        chat = make_paywall(name="Chat")
        make_provider(chat, name="up", base_url=BASE_URL)
        model = sold(chat, "small", prompt_price=1 * NANO, completion_price=2 * NANO)
        for name in ("large", "unheard-of", "nightly"):
            routes.create_route(model, provider=model.provider, upstream_model=name)
        typed = model.routes.get(upstream_model="nightly")
        routes.update_route(typed, cost={"prompt": 1, "completion": 1})
        out, err = sync(capsys)
        assert out == [
            "Chat: small: unknown -> $0.15 / $0.6",
            "Chat: small: up (large): unknown -> $3 / $15, $6 / $22.5 above 200000, $6 / $30 above 500000",
            "Chat: small: up (unheard-of): not found in genai-prices",
            "Chat: small: up (nightly): kept: an operator typed it",
            f"2 of 4 changed (genai-prices {costs.version()})",
        ]
        assert "warning: Chat: small: prompt by up (large) is sold at $1 and costs $3" in err
        # What the model's own provider serves, and who has no cost of their own, loses nothing.
        assert all("by up (large)" in line for line in err)
        looked_up = model.routes.get(upstream_model="large")
        stored = looked_up.cost
        assert (looked_up.cost_source, typed.cost_source) == ("genai-prices", "operator")
        assert (stored["prompt"], stored["cache_write"], stored["request"]) == (
            3 * NANO,
            3_750_000_000,
            5_000_000,
        )
        out, _ = sync(capsys)
        assert out[-1].startswith("0 of 4 changed")
        # The data moves on, and what it said before follows it.
        Route.objects.filter(pk=looked_up.pk).update(cost={"prompt": 1, "completion": 1})
        out, _ = sync(capsys)
        assert out[-1].startswith("1 of 4 changed")
        looked_up.refresh_from_db()
        assert looked_up.cost == stored
        routes.update_route(looked_up, weight=2, cost=stored)
        assert looked_up.cost_source == "genai-prices", "who saves it as it is has typed nothing"
        routes.update_route(looked_up, cost=None)
        assert looked_up.cost_source == ""
        out, _ = sync(capsys, "--force")
        typed.refresh_from_db()
        assert (typed.cost_source, typed.cost["prompt"]) == ("genai-prices", 4 * NANO)

    def test_it_can_be_limited_to_a_paywall(self, capsys: pytest.CaptureFixture[str]) -> None:
        one, two = make_paywall(name="One"), make_paywall(name="Two")
        sold(one, "small")
        other = sold(two, "small")
        out, _ = sync(capsys, "--paywall", one.public_id)
        assert len(out) == 2
        other.refresh_from_db()
        assert other.prompt_cost is None

    @pytest.mark.parametrize("wrong", ["x", "ten_" + "0" * 32, "pw_" + "0" * 32])
    def test_a_paywall_that_is_none_is_refused(self, wrong: str) -> None:
        with pytest.raises(CommandError, match="paywall"):
            call_command("sync_prices", "--paywall", wrong)
