"""What operators do with a model's further routes. Writes check first; an update writes only what differs."""

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from django.db import transaction

from paywalls import events, rules
from paywalls.errors import InvalidSetting
from paywalls.models import PaywallModel, Provider, Route
from paywalls.models.routes import DEFAULT_PRIORITY

CostSource = PaywallModel.CostSource


class RouteSettings(TypedDict, total=False):
    """`price` and `cost` as in Route, None for the model's own. Without `cost_source` an operator typed the cost."""

    provider: Provider
    upstream_model: str
    priority: int
    weight: int
    price: dict[str, Any] | None
    cost: dict[str, Any] | None
    cost_source: str


def check_route(
    model: PaywallModel, route: Route | None, **settings: Unpack[RouteSettings]
) -> dict[str, Any]:
    """The settings that a new or the given route of the model would have. Raises InvalidSetting."""
    stored = rules.obeyed(rules.ROUTE, settings)
    row = route or Route(model=model)
    provider = stored.get("provider") or row.provider
    upstream = stored.get("upstream_model") or row.upstream_model
    if provider.paywall_id != model.paywall_id:
        raise InvalidSetting("must be a provider of the same paywall", param="provider")
    rules.upstream_of(provider.base_url, upstream)
    if stored.get("price") and not any(stored["price"].get(part) for part in rules.PRICE_PARTS):
        raise InvalidSetting("must not be zero in every part", param="price")
    if "cost" in stored:
        stored["cost_source"] = _source(row, stored["cost"], stored.get("cost_source", ""))
    twins = model.routes.filter(provider=provider, upstream_model=upstream).exclude(pk=row.pk)
    if (provider.pk, upstream) == (model.provider_id, model.upstream_model) or twins.exists():
        raise InvalidSetting("is another route of this model", param="upstream_model")
    return stored


def create_route(model: PaywallModel, **settings: Unpack[RouteSettings]) -> Route:
    """A new route of the model. Raises InvalidSetting."""
    stored = check_route(model, None, **settings)
    with transaction.atomic():
        made = Route.objects.create(model=model, **stored)
        _tell(model, f"{made.provider} added")
    return made


def update_route(route: Route, **settings: Unpack[RouteSettings]) -> bool:
    """Change the given settings; whether anything differed. Raises InvalidSetting."""
    stored = check_route(route.model, route, **settings)
    changed = {name: value for name, value in stored.items() if getattr(route, name) != value}
    if not changed:
        return False
    for name, value in changed.items():
        setattr(route, name, value)
    with transaction.atomic():
        route.save(update_fields=list(changed))
        _tell(route.model, f"{route.provider} changed")
    return True


def delete_route(route: Route) -> None:
    """Take the route away; requests under way on it go on."""
    with transaction.atomic():
        route.delete()
        _tell(route.model, f"{route.provider} removed")


def set_routes(model: PaywallModel, wanted: Sequence[RouteSettings]) -> None:
    """Make these the model's further routes, and no others. Raises InvalidSetting."""
    known = {(row.provider_id, row.upstream_model): row for row in model.routes.select_related("provider")}
    keys = [(settings["provider"].pk, settings["upstream_model"]) for settings in wanted]
    for key in known.keys() - set(keys):
        delete_route(known[key])
    for key, settings in zip(keys, wanted, strict=True):
        if route := known.pop(key, None):
            update_route(route, **settings)
        else:
            whole: RouteSettings = {"priority": DEFAULT_PRIORITY, "weight": 1, **settings}
            create_route(model, **whole)


def _source(row: Route, cost: dict[str, Any] | None, told: str) -> str:
    """Whoever changes a cost without saying where it is from has typed it."""
    if cost is None:
        return str(CostSource.UNKNOWN)
    return told or (row.cost_source if cost == row.cost else "") or str(CostSource.OPERATOR)


def _tell(model: PaywallModel, what: str) -> None:
    name = f"models.{model.model_id}.routes"
    events.updated(model.paywall_id, [(name, f"{name}: {what}")])
