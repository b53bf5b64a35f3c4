"""What providers charge, from the data that the package `genai-prices` ships: nothing here touches the network.

The package takes some 90 MB of memory and half a second to load, so that only who asks loads it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from config.money import MAX_AMOUNT, NANO
from paywalls import routes, services
from paywalls.models import PaywallModel, Route
from paywalls.prices import COSTS
from paywalls.pricing import MAX_TIERS

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

GENAI_PRICES = PaywallModel.CostSource.GENAI_PRICES

# Our name of a token's price, and theirs.
_TOKENS = {
    "prompt": "input_mtok",
    "completion": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look-up means for a model: `costs` are the settings to write, None where nothing is to be written."""

    model: PaywallModel
    costs: dict[str, Any] | None
    note: str


def version() -> str:
    """The version of the data."""
    from genai_prices import __version__

    return __version__


def find(model: PaywallModel, *, force: bool = False) -> Finding:
    """What to do about a model's cost. One that an operator typed stays, unless `force`."""
    if model.cost_source == PaywallModel.CostSource.OPERATOR and not force:
        return Finding(model, None, "kept: an operator typed it")
    costs = look_up(model.provider.base_url, model.upstream_model)
    if costs is None:
        return Finding(model, None, "not found in genai-prices")
    wanted = {**costs, "cost_source": GENAI_PRICES.value}
    if all(getattr(model, name) == value for name, value in wanted.items()):
        return Finding(model, None, "unchanged")
    return Finding(model, wanted, "changed")


@dataclass(frozen=True, slots=True)
class RouteFinding:
    """The same for a further route: `cost` is the card to write, None where nothing is to be written."""

    route: Route
    cost: dict[str, Any] | None
    note: str


def find_route(route: Route, *, force: bool = False) -> RouteFinding:
    """What to do about a route's cost. One that an operator typed stays, unless `force`."""
    if route.cost_source == PaywallModel.CostSource.OPERATOR and not force:
        return RouteFinding(route, None, "kept: an operator typed it")
    found = look_up(route.provider.base_url, route.upstream_model)
    if found is None:
        return RouteFinding(route, None, "not found in genai-prices")
    card = {name.removesuffix("_cost"): value for name, value in found.items() if name != "cost_tiers"}
    card = {
        name: value
        for name, value in {**card, "tiers": found["cost_tiers"]}.items()
        if value not in (None, [])
    }
    if card == route.cost and route.cost_source == GENAI_PRICES:
        return RouteFinding(route, None, "unchanged")
    return RouteFinding(route, card, "changed")


def write_route(finding: RouteFinding) -> None:
    """Do what was found."""
    if finding.cost is not None:
        routes.update_route(finding.route, cost=finding.cost, cost_source=GENAI_PRICES.value)


def write(finding: Finding) -> None:
    """Do what was found: a running gateway takes it from the very next request."""
    if finding.costs is not None:
        services.update_model(finding.model, **finding.costs)


def look_up(base_url: str, upstream_model: str) -> dict[str, Any] | None:
    """The cost settings of a provider's model, or None where its address or the model is unknown.

    The provider is told by its address only: what a gateway in between charges is not for us to guess. Of prices
    that change over the day these are the dearest.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(upstream_model, None, None, base_url)
    except LookupError:
        return None
    return max(_over_the_day(found), key=lambda costs: costs["prompt_cost"], default=None)


def of_provider(provider_id: str, model: str) -> dict[str, Any] | None:
    """The cost settings of a model by the data's own name of its provider, such as "openai"; None where unknown."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider_id, None)
    except LookupError:
        return None
    return max(_over_the_day(found), key=lambda costs: costs["prompt_cost"], default=None)


def models_of(provider_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(model, cost settings) of all that the data knows of a provider and that is paid by token."""
    from genai_prices.data_snapshot import get_snapshot

    for provider in get_snapshot().providers:
        if provider.id == provider_id:
            for model in provider.models:
                found = max(_over_the_day(model), key=lambda costs: costs["prompt_cost"], default=None)
                if found:
                    yield model.id, found


def models_at(base_url: str) -> dict[str, dict[str, Any]]:
    """{model: cost settings} of all that the data knows at a provider's address; empty where it is unknown."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        provider = get_snapshot().find_provider(None, None, base_url)
    except LookupError:
        return {}
    return dict(models_of(provider.id))


def _over_the_day(found: "ModelInfo") -> Iterator[dict[str, Any]]:
    today = datetime.now(UTC).date()
    for hour in range(24):
        costs = _settings(found.get_prices(datetime.combine(today, time(hour), UTC)))
        if costs is not None:
            yield costs


def _settings(price: "ModelPrice") -> dict[str, Any] | None:
    """The settings of a price per token; None where it is by something else, such as hours of sound."""
    parts = {name: getattr(price, theirs) for name, theirs in _TOKENS.items()}
    if parts["prompt"] is None:
        return None
    # Embeddings have no output to pay for.
    parts["completion"] = parts["completion"] or Decimal(0)
    starts = sorted({tier.start for part in parts.values() for tier in getattr(part, "tiers", ())} - {0})
    if len(starts) > MAX_TIERS:
        return None
    settings = {f"{name}_cost": value for name, value in _card(parts, 0).items()}
    per_thousand = getattr(price, "requests_kcount", None)
    found: dict[str, Any] = {
        **settings,
        "request_cost": _nano(per_thousand / 1_000) if isinstance(per_thousand, Decimal) else 0,
        "minimum_cost": 0,
        "image_cost": 0,
        "cost_tiers": [
            {"above": start, **{name: nano for name, nano in card.items() if nano is not None}}
            for start in starts
            for card in (_card(parts, start + 1),)
        ],
    }
    assert found.keys() == set(COSTS)
    return found


def _card(parts: Mapping[str, Any], prompt_tokens: int) -> dict[str, int | None]:
    """The rates for a prompt of this size."""
    return {name: None if part is None else _nano(_at(part, prompt_tokens)) for name, part in parts.items()}


def _at(part: Any, prompt_tokens: int) -> Decimal:
    price: Decimal = getattr(part, "base", part)
    for tier in getattr(part, "tiers", ()):
        if prompt_tokens > tier.start:
            price = tier.price
    return price


def _nano(dollars: Decimal) -> int:
    """Nano-dollars, up where there is more than that."""
    return min(int((dollars * NANO).to_integral_value(ROUND_CEILING)), MAX_AMOUNT)
