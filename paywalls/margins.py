"""Where a model is sold for less than its provider charges: a warning, never an error, for some mean it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from config import money
from paywalls.models import Paywall, PaywallModel, Route
from paywalls.pricing import WHOLE, Price


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of the price that is below its cost, in nano-dollars (markup included), for prompts `above` a size.

    `route` is the further provider by whom that is so, "" for the model's own.
    """

    part: str
    sold: Fraction
    costs: int
    above: int = 0
    route: str = ""

    def __str__(self) -> str:
        size = f" above {self.above} tokens" if self.above else ""
        by = f" by {self.route}" if self.route else ""
        return f"{self.part}{size}{by} is sold at ${_plain(self.sold)} and costs ${money.plain(self.costs)}"


def losses(price: Price, cost: Price | None) -> list[Loss]:
    """Every part that alone, in a large enough number, makes a request cost more than it brings.

    Token prices are compared at each size of the prompt where either changes; a part that loses from a smaller size
    on is told once. None known, none told.
    """
    if cost is None:
        return []
    factor = Fraction(WHOLE + price.markup, WHOLE)
    found = [*_token_losses(price, cost, factor)]
    for part in ("request", "image"):
        sold, costs = getattr(price, part) * factor, getattr(cost, part)
        if sold < costs:
            found.append(Loss(part, sold, costs))
    least = max(Fraction(price.minimum), price.request * factor)
    if least < cost.minimum:
        found.append(Loss("minimum", least, cost.minimum))
    return found


def of_model(model: PaywallModel, paywall: Paywall) -> list[Loss]:
    """The losses of a model at the paywall's markup, also by those of its routes with a price or cost of their own.

    Have the models come with `routes__provider`.
    """
    found = losses(model.price(markup(paywall)), model.cost())
    for route in model.routes.all():
        if route.price is not None or route.cost is not None:
            found += of_route(route, paywall)
    return found


def of_route(route: Route, paywall: Paywall) -> list[Loss]:
    """The losses where a further route serves, at its own price and cost or else the model's."""
    percent, model = markup(paywall), route.model
    name = f"{route.provider.name} ({route.upstream_model})"
    told = losses(route.own_price(percent) or model.price(percent), route.own_cost() or model.cost())
    return [replace(loss, route=name) for loss in told]


def warnings(models: Iterable[PaywallModel]) -> list[str]:
    """A line for each part that is sold below its cost; the models come with their paywalls."""
    return [
        f"{model.paywall.name}: {model.model_id}: {loss}"
        for model in models
        for loss in of_model(model, model.paywall)
    ]


def markup(paywall: Paywall) -> int:
    """The markup of a paywall in millionths, as prices take it."""
    return int(paywall.markup_percent * 10_000)


def _token_losses(price: Price, cost: Price, factor: Fraction) -> Iterator[Loss]:
    told: dict[str, tuple[Fraction, int]] = {}
    for above in sorted({0, *(tier.above for tier in (*price.tiers, *cost.tiers))}):
        ours, theirs = price.rates(above + 1), cost.rates(above + 1)
        for part, name in (
            ("prompt", "prompt"),
            ("cache_read", "read"),
            ("cache_write", "write"),
            ("completion", "completion"),
        ):
            sold, costs = getattr(ours, name) * factor, getattr(theirs, name)
            if sold < costs and told.get(part) != (sold, costs):
                told[part] = (sold, costs)
                yield Loss(part, sold, costs, above)


def _plain(nano: Fraction) -> str:
    """To the nano-dollar below: a price that is told must not look higher than it is."""
    return money.plain(int(nano))
