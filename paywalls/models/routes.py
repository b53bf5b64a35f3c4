"""Further routes of a model: who else answers for it where its own provider can't, or beside it."""

from typing import Any

from django.db import models
from django.db.models import BooleanField, F, Func, Q

from config.models import Row
from paywalls.models.catalogue import PaywallModel, Provider
from paywalls.pricing import Price, Tier

# A fallback: the model's own provider has priority 0.
DEFAULT_PRIORITY = 1


class CardSound(Func):
    """Whether a price on a route is one that `pricing` takes; the function comes with the migrations."""

    function = "paywalls_card_sound"
    output_field = BooleanField()


class Route(Row):
    """A provider that may serve a model, beside the model's own.

    Lower priorities are tried first; routes of one priority share the requests by weight. `price` and `cost` are null
    where they are the model's own, else a whole card in nano-dollars: `{"prompt", "completion", "cache_read"?,
    "cache_write"?, "request"?, "minimum"?, "image"?, "tiers"?}`. `cost_source` says who gave the cost, as a model's
    does.
    """

    model = models.ForeignKey(PaywallModel, on_delete=models.CASCADE, related_name="routes")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="routes")
    upstream_model = models.CharField(max_length=128, help_text="The id that the provider knows.")
    priority = models.PositiveSmallIntegerField(
        default=DEFAULT_PRIORITY,
        help_text="Lower ones are tried first; the model's own provider has its own.",
    )
    weight = models.PositiveSmallIntegerField(
        default=1, help_text="The share of the requests among routes of the same priority."
    )
    price = models.JSONField(null=True, blank=True)
    cost = models.JSONField(null=True, blank=True)
    cost_source = models.CharField(
        max_length=16,
        choices=PaywallModel.CostSource,
        default=PaywallModel.CostSource.UNKNOWN,
        db_default=PaywallModel.CostSource.UNKNOWN.value,
        blank=True,
        editable=False,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "provider", "upstream_model"], name="route_unique_in_model"
            ),
            models.CheckConstraint(
                condition=Q(weight__gte=1, weight__lte=1_000, priority__lte=1_000),
                name="route_order_in_range",
            ),
            models.CheckConstraint(condition=CardSound("price"), name="route_price_sound"),
            models.CheckConstraint(condition=CardSound("cost"), name="route_cost_sound"),
            models.CheckConstraint(
                condition=Q(cost__isnull=True, cost_source="") | (Q(cost__isnull=False) & ~Q(cost_source="")),
                name="route_cost_known_or_not",
            ),
            models.CheckConstraint(condition=~Q(upstream_model=""), name="route_upstream_not_empty"),
        ]
        ordering = [F("priority").asc(), F("id").asc()]

    def __str__(self) -> str:
        return f"{self.model}: {self.provider}"

    def own_price(self, markup: int) -> Price | None:
        """What end users pay where this route serves, None where that is the model's price."""
        return None if self.price is None else _price(self.price, markup)

    def own_cost(self) -> Price | None:
        """What this route's provider charges, None where that is the model's cost."""
        return None if self.cost is None else _price(self.cost)


def _price(card: dict[str, Any], markup: int = 0) -> Price:
    tiers = tuple(Tier(**tier) for tier in card.get("tiers", ()))
    return Price(**{**card, "tiers": tiers}, markup=markup)
