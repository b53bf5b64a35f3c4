"""How the price and cost settings of a model fit each other."""

from typing import Any, TypedDict

from paywalls import rules
from paywalls.errors import InvalidSetting
from paywalls.models import PaywallModel

PRICES = (
    "prompt_price",
    "completion_price",
    "cache_read_price",
    "cache_write_price",
    "request_price",
    "minimum_price",
    "image_price",
    "tiers",
)
COSTS = (
    "prompt_cost",
    "completion_cost",
    "cache_read_cost",
    "cache_write_cost",
    "request_cost",
    "minimum_cost",
    "image_cost",
    "cost_tiers",
)


class PriceSettings(TypedDict, total=False):
    """Nano-dollars, token prices per million tokens; tiers as in PaywallModel. `free` confirms a price of zero."""

    cache_read_price: int | None
    cache_write_price: int | None
    request_price: int
    minimum_price: int
    image_price: int
    tiers: list[dict[str, int]]
    free: bool
    prompt_cost: int | None
    completion_cost: int | None
    cache_read_cost: int | None
    cache_write_cost: int | None
    request_cost: int
    minimum_cost: int
    image_cost: int
    cost_tiers: list[dict[str, int]]
    cost_source: str


def checked(model: PaywallModel | None, stored: dict[str, Any]) -> dict[str, Any]:
    """The settings with who says the cost among them. Raises InvalidSetting where they don't fit each other."""
    row = model or PaywallModel()
    rules.confirmed({name: stored.get(name, getattr(row, name)) for name in (*PRICES, "free")})
    if not stored.keys() & {*COSTS, "cost_source"}:
        return stored
    costs = {name: stored.get(name, getattr(row, name)) for name in COSTS}
    _refuse_half_known(costs)
    return {**stored, "cost_source": _source(row, costs, stored.get("cost_source", ""))}


def _refuse_half_known(costs: dict[str, Any]) -> None:
    missing = [name for name in ("prompt_cost", "completion_cost") if costs[name] is None]
    if missing and any(costs.values()):
        raise InvalidSetting("must be given where another part of the cost is given", param=missing[0])
    if len(missing) == 1:
        raise InvalidSetting("must be given with the other one", param=missing[0])


def _source(row: PaywallModel, costs: dict[str, Any], told: str) -> str:
    """Whoever changes a cost without saying where it is from has typed it."""
    if costs["prompt_cost"] is None:
        return str(PaywallModel.CostSource.UNKNOWN)
    unchanged = all(getattr(row, name) == value for name, value in costs.items())
    return told or (row.cost_source if unchanged else "") or str(PaywallModel.CostSource.OPERATOR)
