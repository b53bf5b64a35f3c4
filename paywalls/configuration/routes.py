"""The routes of a model in a document, and the time-outs of a provider."""

from dataclasses import dataclass
from typing import Any

from paywalls import rules
from paywalls.configuration import prices
from paywalls.configuration.sections import MISSING, Missing, Section
from paywalls.models import PaywallModel
from paywalls.models.routes import DEFAULT_PRIORITY

ROUTE = {"provider", "upstream_model", "priority", "weight", "pricing", "cost"}
ROUTE_KEYS = {"price": "pricing"}
SECONDS = ("connect_seconds", "first_byte_seconds", "idle_seconds", "total_seconds")


@dataclass(frozen=True)
class RouteEntry:
    """A described route; `settings` is None where some are faulty."""

    at: Section
    provider: str | Missing
    settings: dict[str, Any] | None


def read_routes(at: Section) -> list[RouteEntry] | None:
    """The routes under the key `routes`, None where a model doesn't have it."""
    return [_route(section) for section in at.children("routes", keys=ROUTE)] if at.has("routes") else None


def order(at: Section, priority: int) -> dict[str, Any]:
    """The place of a route among the others."""
    return {
        "priority": at.whole("priority", rules.priority, default=priority),
        "weight": at.whole("weight", rules.weight, default=1),
    }


def timeouts(at: Section) -> dict[str, Any]:
    """A provider's own time-outs, None for the installation's."""
    return {name: at.whole(name, rules.seconds) if at.has(name) else None for name in SECONDS}


def card(at: Section, key: str) -> dict[str, Any] | Missing | None:
    """The price in the section under a key as a route keeps it, None where there is none."""
    if not at.has(key):
        return None
    return as_card(at.child(key, keys=prices.PRICING))


def as_card(at: Section) -> dict[str, Any] | Missing:
    """A section of prices as a route keeps it: parts that are absent are left out."""
    parts = {name.removesuffix("_price"): value for name, value in prices.pricing(at).items()}
    return MISSING if MISSING in parts.values() else {k: v for k, v in parts.items() if v not in (None, [])}


def _route(at: Section) -> RouteEntry:
    provider = at.text("provider", rules.PROVIDER["name"])
    settings: dict[str, Any] = {
        "upstream_model": at.text("upstream_model", rules.ROUTE["upstream_model"]),
        **order(at, DEFAULT_PRIORITY),
        "price": card(at, "pricing"),
    }
    if at.has("cost"):
        # As with a model's: without it what the provider charges stays as it is known.
        settings |= {"cost": card(at, "cost"), "cost_source": PaywallModel.CostSource.OPERATOR.value}
    return RouteEntry(at, provider, None if MISSING in (provider, *settings.values()) else settings)
