"""The further routes of models: who else answers where a model's own provider can't, or beside it."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest

from config.admin import RelatedRows, SettingsAdmin, display
from config.admin.columns import itself, link
from config.admin.filters import AutocompleteSelectFilter
from paywalls import costs, margins, routes, rules
from paywalls.admin.prices import MARGINS, OptionalDollarField, PriceForm, margin_of_route
from paywalls.errors import InvalidSetting
from paywalls.models import PaywallModel, Provider, Route
from paywalls.prices import COSTS, PRICES
from paywalls.roles import Can

_PER_MILLION = "US dollars per million tokens."
_AS_THE_MODELS = "All empty: as the model's."


class ProviderChoice(ModelChoiceField):
    """Providers by name and paywall: two paywalls' providers may be namesakes."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.paywall})"


class ModelChoice(ModelChoiceField):
    """Models by id and paywall."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.model_id} ({obj.paywall})"


def _card_of(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any] | None:
    """The price or cost in these fields as a route keeps it; None where all of them are empty."""
    given = {_part(name): values[name] for name in names}
    return {part: value for part, value in given.items() if value not in (None, [])} or None


def _part(name: str) -> str:
    """A card's name of a field: "prompt" of `prompt_price`, "tiers" of `cost_tiers`."""
    return "tiers" if name.endswith("tiers") else name.rpartition("_")[0]


class RouteForm(PriceForm):
    """A route; its price and cost are the model's where nothing is typed."""

    prompt_price = OptionalDollarField(label="Prompt", help_text=_PER_MILLION)
    completion_price = OptionalDollarField(label="Completion", help_text=_PER_MILLION)
    request_price = OptionalDollarField(label="Request", help_text="US dollars per request.")
    minimum_price = OptionalDollarField(
        label="Minimum", help_text="The least that a request costs in US dollars, markup included."
    )
    image_price = OptionalDollarField(label="Image", help_text="US dollars per image that a request sends.")
    # A route is free where its model is.
    free = None  # type: ignore[assignment]
    prompt_cost = OptionalDollarField(label="Prompt", help_text=_PER_MILLION)
    completion_cost = OptionalDollarField(label="Completion", help_text=_PER_MILLION)
    request_cost = OptionalDollarField(label="Request")
    minimum_cost = OptionalDollarField(label="Minimum")
    image_cost = OptionalDollarField(label="Image")

    rules = {
        **{name: rules.optional(rules.amount) for name in (*PRICES, *COSTS) if not name.endswith("tiers")},
        "tiers": rules.tiers,
        "cost_tiers": rules.tiers,
        "upstream_model": rules.ROUTE["upstream_model"],
        "priority": rules.priority,
        "weight": rules.weight,
    }
    shown_at = {"price": "prompt_price", "cost": "prompt_cost"}

    class Meta:
        model = Route
        fields = ("model", "provider", "upstream_model", "priority", "weight")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for names, card in ((PRICES, self.instance.price), (COSTS, self.instance.cost)):
            self.initial.update({name: (card or {}).get(_part(name)) for name in names})
        model, provider = self.initial.get("model") or self.instance.model_id, self.fields.get("provider")
        if model and isinstance(provider, ProviderChoice) and provider.queryset is not None:
            # Narrowed, not named anew: only an operator's own tenants are in it.
            provider.queryset = provider.queryset.filter(paywall__models=model)

    def settings(self) -> dict[str, Any]:
        values = self.cleaned_data
        own = {name: values[name] for name in ("provider", "upstream_model", "priority", "weight")}
        return {**own, "price": _card_of(values, PRICES), "cost": _card_of(values, COSTS)}

    def check_settings(self) -> None:
        known = self.known()
        settings = self.settings()
        for kind in ("price", "cost"):
            for part in ("prompt", "completion"):
                if settings[kind] and part not in settings[kind]:
                    raise InvalidSetting(
                        f"must be given where another part of the {kind} is", param=f"{part}_{kind}"
                    )
        routes.check_route(known.model if known else self.cleaned_data["model"], known, **settings)


@display(description="margin", label=MARGINS)
def margin(route: Route) -> str:
    """Whether anything is sold for less than it costs where this route serves."""
    return margin_of_route(route)


def _own(route: Route, field: str) -> str:
    return "its own" if getattr(route, field) is not None else "the model's"


@admin.display(description="price")
def own_price(route: Route) -> str:
    """Whose price counts where the route serves."""
    return _own(route, "price")


@admin.display(description="cost")
def own_cost(route: Route) -> str:
    """Whose cost counts where the route serves."""
    return _own(route, "cost")


_LISTED = (link("provider"), "upstream_model", "priority", "weight", own_price, own_cost, margin)


class RoutesOfModel(RelatedRows):
    """A model's further routes, in the order in which they are asked."""

    model = Route
    fields = readonly_fields = (itself("route"), *_LISTED)
    ordering: Any = ("priority", "id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("provider", "model__paywall")


def _fields(names: Iterable[str]) -> tuple[Any, ...]:
    prompt, completion, read, write, request, minimum, image, tiers = names
    return ((prompt, completion), (read, write), (request, minimum), image, tiers)


@admin.register(Route)
class RouteAdmin(SettingsAdmin):
    tenant_path = "model__paywall__tenant"
    needs = Can.PRICES
    form = RouteForm
    ordering = ("model", "priority", "id")
    list_display = ("__str__", link("model.paywall", "paywall"), *_LISTED)
    list_filter = (("provider", AutocompleteSelectFilter),)
    search_fields = ("model__model_id", "upstream_model", "provider__name")
    id_lookups = {"paywall": "model__paywall"}
    fieldsets = (
        (None, {"fields": ("model", "provider", "upstream_model", ("priority", "weight"))}),
        (
            "Price",
            {
                "fields": _fields(PRICES),
                "description": f"What end users pay where this route serves. {_AS_THE_MODELS}",
            },
        ),
        (
            "Provider's cost",
            {
                "fields": _fields(COSTS),
                "description": f"What this route's provider charges you. {_AS_THE_MODELS}",
            },
        ),
    )
    actions = ("look_up",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("provider", "model__paywall")

    def create(self, form: RouteForm) -> Route:
        return routes.create_route(form.cleaned_data["model"], **form.settings())

    def update(self, row: Route, form: RouteForm) -> None:
        routes.update_route(row, **form.settings())

    def delete_model(self, request: HttpRequest, obj: Route) -> None:
        routes.delete_route(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Route]) -> None:
        with transaction.atomic():
            for route in queryset:
                routes.delete_route(route)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._warn(request, Route.objects.select_related("model__paywall", "provider").get(pk=obj.pk))

    @admin.action(description="Look up what the providers charge", permissions=["change"])
    def look_up(self, request: HttpRequest, queryset: QuerySet[Route]) -> None:
        """Fill in the routes' own costs; one that an operator typed stays."""
        findings = [costs.find_route(route) for route in queryset]
        with transaction.atomic():
            for finding in findings:
                if finding.cost is not None:
                    costs.write_route(finding)
                    told = f"Cost looked up (genai-prices {costs.version()})."
                    self.log_change(request, finding.route, told)
        for finding in findings:
            self.message_user(request, f"{finding.route}: {finding.note}.", messages.INFO)
            self._warn(request, finding.route)

    def _warn(self, request: HttpRequest, route: Route) -> None:
        for loss in margins.of_route(route, route.model.paywall):
            self.message_user(request, f"{route.model}: {loss}.", messages.WARNING)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return (link("model"), "cost_source", margin) if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A route's model is chosen once; who gave its cost, and what it brings, is known of one that is there."""
        if obj is None:
            return self.fieldsets
        (_, first), price, (title, cost) = self.fieldsets
        fixed = {**first, "fields": (link("model"), *first["fields"][1:])}
        return [(None, fixed), price, (title, {**cost, "fields": (*cost["fields"], ("cost_source", margin))})]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "provider":
            options |= {"form_class": ProviderChoice, "queryset": Provider.objects.select_related("paywall")}
        if db_field.name == "model":
            known = PaywallModel.objects.select_related("paywall").order_by("paywall__name", "model_id")
            options |= {"form_class": ModelChoice, "queryset": known}
        return super().formfield_for_foreignkey(db_field, request, **options)
