"""The cost catalogue: what providers charge for their models. An operator's word goes before the shipped data."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

from config.sql import Statement, array
from ledger.rating.rating import CostCard
from paywalls import costs
from paywalls.models import ProviderCost
from paywalls.pricing import Price, Tier

# The metering API's names of providers, and the shipped catalogue's.
PROVIDERS = {
    "OPENAI": "openai",
    "ANTHROPIC": "anthropic",
    "GOOGLE": "google",
    "COHERE": "cohere",
    "MISTRAL": "mistral",
}

Name = tuple[str, str]


def overrides(names: Collection[Name]) -> Statement:
    """The operators' costs among these (provider, model): rows for `cards`."""
    return Statement(
        """
        SELECT c.provider, c.model, prompt_cost, completion_cost, cache_read_cost, cache_write_cost, request_cost,
            image_cost, unit_cost
        FROM unnest(%s::text[], %s::text[]) AS named(provider, model)
        JOIN paywalls_providercost c USING (provider, model)
        """,
        (array(provider for provider, _ in names), array(model for _, model in names)),
    )


def cards(names: Iterable[Name], rows: Iterable[Sequence[Any]]) -> dict[Name, CostCard | None]:
    """What each (provider, model) costs, by the rows of `overrides` or else as shipped; None where nobody knows."""
    typed = {(row[0], row[1]): _typed(*row[2:]) for row in rows}
    return {name: typed.get(name) or shipped(*name) for name in names}


@lru_cache(maxsize=4_096)
def shipped(provider: str, model: str) -> CostCard | None:
    """The card in the data that `genai-prices` ships."""
    known = PROVIDERS.get(provider)
    found = costs.of_provider(known, model) if known and model else None
    return _card(found) if found else None


@cache
def _all_shipped() -> dict[Name, CostCard]:
    return {
        (name, model): _card(found)
        for name, known in PROVIDERS.items()
        for model, found in costs.models_of(known)
    }


def all_known() -> list[tuple[str, str, CostCard, str]]:
    """The whole catalogue by provider and model: (provider, model, card, who says so)."""
    listed = {name: (card, "genai-prices") for name, card in _all_shipped().items()}
    for row in ProviderCost.objects.all():
        card = _typed(
            row.prompt_cost,
            row.completion_cost,
            row.cache_read_cost,
            row.cache_write_cost,
            row.request_cost,
            row.image_cost,
            row.unit_cost,
        )
        listed[row.provider, row.model] = (card, "operator")
    return [(*name, card, source) for name, (card, source) in sorted(listed.items())]


def _typed(
    prompt: int, completion: int, read: int | None, write: int | None, request: int, image: int, unit: int
) -> CostCard:
    return CostCard(Price(prompt, completion, read, write, request=request, image=image), unit)


def _card(found: dict[str, Any]) -> CostCard:
    return CostCard(
        Price(
            prompt=found["prompt_cost"],
            completion=found["completion_cost"],
            cache_read=found["cache_read_cost"],
            cache_write=found["cache_write_cost"],
            request=found["request_cost"],
            minimum=found["minimum_cost"],
            image=found["image_cost"],
            tiers=tuple(Tier(**tier) for tier in found["cost_tiers"]),
        )
    )
