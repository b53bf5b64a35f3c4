"""Prices: their parts, their tiers, and zero where it is confirmed."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from paywalls.errors import InvalidSetting
from paywalls.pricing import MAX_TIERS
from paywalls.rules.amounts import amount

# What a price is made of, but for caches and tiers.
PRICE_PARTS = ("prompt", "completion", "request", "minimum", "image")
# No prompt is larger.
MAX_TIER_TOKENS = 100_000_000


def tier_start(count: int) -> int:
    """The size of a prompt above which a tier's prices apply."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_TIER_TOKENS:
        raise InvalidSetting(f"must be a whole number of tokens from 1 to {MAX_TIER_TOKENS}")
    return count


def tiers(cards: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Prices by the size of the prompt, as they are stored: a cache price that is absent is left out."""
    if not isinstance(cards, list) or len(cards) > MAX_TIERS:
        raise InvalidSetting(f"must be a list of at most {MAX_TIERS} tiers")
    stored = [{name: value for name, value in card.items() if value is not None} for card in cards]
    for card in stored:
        tier_start(card.get("above", 0))
        for name in {"prompt", "completion", *card} - {"above"}:
            amount(card.get(name, -1))
    if any(later["above"] <= earlier["above"] for earlier, later in pairwise(stored)):
        raise InvalidSetting("must go up: each tier is above more tokens than the one before")
    return stored


def card(parts: dict[str, Any]) -> dict[str, Any]:
    """A whole price as a route keeps it."""
    if not isinstance(parts, dict) or parts.keys() - {*PRICE_PARTS, "cache_read", "cache_write", "tiers"}:
        raise InvalidSetting("must be a price: prompt, completion, and what else a model's price has")
    for name in {"prompt", "completion", *parts} - {"tiers"}:
        amount(parts.get(name, -1))
    return {**parts, "tiers": tiers(parts["tiers"])} if "tiers" in parts else parts


def confirmed(prices: Mapping[str, Any]) -> None:
    """Zero is a price where the operator confirms it, and free is what has no other price."""
    parts = ("prompt_price", "completion_price", "request_price", "minimum_price", "image_price")
    if prices["free"]:
        if any(prices[name] for name in (*parts, "cache_read_price", "cache_write_price", "tiers")):
            raise InvalidSetting("must not be set for a model that has a price", param="free")
    elif not any(prices[name] for name in parts):
        raise InvalidSetting("must be set to true where every price is zero, to confirm it", param="free")
