"""The prices in a document: what end users pay (`pricing`), and what the provider charges (`cost`)."""

from typing import Any

from paywalls import rules
from paywalls.configuration.sections import MISSING, Missing, Section

PRICING = {"prompt", "completion", "cache_read", "cache_write", "request", "minimum", "image", "tiers"}
TIER = {"above", "prompt", "completion", "cache_read", "cache_write"}

# Where the document says what a service knows by another name.
PRICE_KEYS = {
    name if name.endswith("tiers") else f"{name}_{kind}": f"{section}.{name.removeprefix('cost_')}"
    for section, kind, tiers in (("pricing", "price", "tiers"), ("cost", "cost", "cost_tiers"))
    for name in (*sorted(PRICING - {"tiers"}), tiers)
}


def pricing(at: Section) -> dict[str, Any]:
    """The settings in a section `pricing`."""
    return {**_parts(at, "price"), "tiers": read_tiers(at, "tiers")}


def cost(at: Section) -> dict[str, Any]:
    """The settings in a section `cost`."""
    return {**_parts(at, "cost"), "cost_tiers": read_tiers(at, "tiers")}


def read_tiers(at: Section, key: str) -> list[dict[str, Any]] | Missing:
    """The tiers in the list under a key."""
    tiers = [_tier(card) for card in at.children(key, keys=TIER)]
    if any(MISSING in tier.values() for tier in tiers):
        return MISSING
    checked: list[dict[str, Any]] | Missing = at.checked(key, rules.tiers, tiers)
    return checked


def _tier(at: Section) -> dict[str, Any]:
    return {
        "above": at.whole("above", rules.tier_start),
        "prompt": at.dollars("prompt"),
        "completion": at.dollars("completion"),
        "cache_read": at.dollars_or_none("cache_read"),
        "cache_write": at.dollars_or_none("cache_write"),
    }


def _parts(at: Section, kind: str) -> dict[str, Any]:
    return {
        f"prompt_{kind}": at.dollars("prompt"),
        f"completion_{kind}": at.dollars("completion"),
        f"cache_read_{kind}": at.dollars_or_none("cache_read"),
        f"cache_write_{kind}": at.dollars_or_none("cache_write"),
        f"request_{kind}": at.dollars("request", default="0"),
        f"minimum_{kind}": at.dollars("minimum", default="0"),
        f"image_{kind}": at.dollars("image", default="0"),
    }
