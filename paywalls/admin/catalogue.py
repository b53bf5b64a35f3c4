"""Providers and the models that a paywall sells."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import MultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from config.admin import SettingsAdmin, action, display
from config.admin.columns import link, moment, money, text
from config.admin.filters import AutocompleteSelectFilter
from config.admin.forms import SecretField, SettingsForm, SwitchField
from paywalls import rules, services
from paywalls.admin import pricetable
from paywalls.admin.limits import LABELS, ON_THIS_MODEL, SpendLimitsForm
from paywalls.admin.prices import FIELDSETS, MARGINS, PriceForm, look_up, margin, warn
from paywalls.admin.routes import ProviderChoice, RoutesOfModel
from paywalls.models import Paywall, PaywallModel, Provider
from paywalls.models.limits import RATES, SPEND
from paywalls.prices import COSTS, PRICES
from paywalls.roles import Can
from paywalls.surfaces import SURFACES


@display(description="key", label={"stored": "success", "none": "warning", "not needed": "info"})
def key_state(row: Provider) -> str:
    """Whether the provider has a key; never the key."""
    if row.api_key:
        return "stored"
    return "not needed" if row.is_sandbox else "none"


TIMEOUTS = ("connect_seconds", "first_byte_seconds", "idle_seconds", "total_seconds")


class ProviderForm(SettingsForm):
    surfaces = MultipleChoiceField(
        label="APIs",
        required=False,
        choices=[(name, name) for name in SURFACES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Which it speaks; none for what its address suggests.",
    )
    # Not called `api_key`: that would show the stored token as its value.
    new_key = SecretField(
        label="API key",
        help_text="Stored encrypted and never shown again. Leave it empty to keep the stored key.",
    )
    remove_key = SwitchField(
        label="Remove the stored API key",
        required=False,
        help_text="For a provider that takes requests without one.",
    )

    rules = {**rules.PROVIDER, "new_key": rules.secret}
    shown_at = {"api_key": "new_key"}

    class Meta:
        model = Provider
        fields = ("paywall", "name", "base_url", "surfaces", "installation_pays", *TIMEOUTS)
        labels = {"base_url": "Base URL"}
        help_texts = {
            "base_url": 'Such as "https://api.openai.com/v1", or "sandbox://" for the built-in one.'
        }

    def settings(self) -> dict[str, Any]:
        """Without `api_key` the stored key stays."""
        settings = super().settings()
        new_key = settings.pop("new_key")
        if self.cleaned_data.get("remove_key"):
            return {**settings, "api_key": ""}
        return {**settings, "api_key": new_key} if new_key else settings

    def check_settings(self) -> None:
        known = self.known()
        services.check_provider(
            known.paywall if known else self.cleaned_data["paywall"], known, **self.settings()
        )


@admin.register(Provider)
class ProviderAdmin(SettingsAdmin):
    tenant_path = "paywall__tenant"
    needs = Can.SETTINGS
    form = ProviderForm
    list_display = ("name", link("paywall"), text("base_url", "base URL"), key_state, moment("created_at"))
    list_filter = (("paywall", AutocompleteSelectFilter),)
    list_select_related = ("paywall",)
    search_fields = ("name", "base_url", "paywall__name")
    id_lookups = {"paywall": "paywall"}
    autocomplete_fields = ("paywall",)

    def create(self, form: ProviderForm) -> Provider:
        return services.create_provider(form.cleaned_data["paywall"], **form.settings())

    def update(self, row: Provider, form: ProviderForm) -> None:
        services.update_provider(row, **form.settings())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The rarer settings stand on tabs of their own."""
        fields = ("paywall", "name", "base_url", "new_key", "installation_pays")
        known = ("remove_key", key_state, moment("created_at")) if obj else ()
        return [
            (None, {"fields": (*fields, *known)}),
            ("APIs", {"fields": ("surfaces",), "classes": ["tab"]}),
            (
                "Time-outs",
                {
                    "fields": TIMEOUTS,
                    "classes": ["tab"],
                    "description": "Seconds that this provider may take. After them the next route is tried.",
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return ("paywall", key_state, moment("created_at")) if obj else ()


class ModelForm(PriceForm, SpendLimitsForm):
    rules = rules.MODEL

    class Meta:
        model = PaywallModel
        fields = (
            "paywall",
            "provider",
            "model_id",
            "upstream_model",
            "display_name",
            "description",
            *PRICES,
            "free",
            *COSTS,
            "max_output_tokens",
            "priority",
            "weight",
            *RATES,
            *SPEND,
        )
        labels = {name: LABELS[name] for name in RATES}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        paywall = self.initial.get("paywall") or self.instance.paywall_id
        provider = self.fields.get("provider")
        if paywall and isinstance(provider, ProviderChoice):
            provider.queryset = Provider.objects.filter(paywall=paywall).select_related("paywall")

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "provider": self.cleaned_data["provider"]}

    def check_settings(self) -> None:
        known = self.known()
        services.check_model(
            known.paywall if known else self.cleaned_data["paywall"], known, **self.settings()
        )


@admin.register(PaywallModel)
class ModelAdmin(SettingsAdmin):
    tenant_path = "paywall__tenant"
    needs = Can.PRICES
    form = ModelForm
    ordering = ("paywall", "model_id")
    list_display = (
        "model_id",
        link("paywall"),
        link("provider"),
        money("prompt_price", "prompt / 1M"),
        money("completion_price", "completion / 1M"),
        money("request_price", "request"),
        money("minimum_price", "minimum"),
        "margin",
    )
    list_filter = (("paywall", AutocompleteSelectFilter), ("provider", AutocompleteSelectFilter))
    list_select_related = ("paywall", "provider")
    search_fields = ("model_id", "display_name", "upstream_model")
    id_lookups = {"paywall": "paywall"}
    autocomplete_fields = ("paywall",)
    fieldsets = (
        (
            None,
            {"fields": ("paywall", "provider", "model_id", "upstream_model", "display_name", "description")},
        ),
        *FIELDSETS,
        ("Answers", {"fields": ("max_output_tokens",), "classes": ["tab"]}),
        (
            "Own route",
            {
                "fields": ("priority", "weight"),
                "classes": ["tab"],
                "description": "Its place among the model's routes; the further ones have pages of their own.",
            },
        ),
        ON_THIS_MODEL,
    )

    inlines = (RoutesOfModel,)
    actions = ("look_up",)
    actions_list = ("price_table",)
    actions_detail = ("add_route",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the routes, by which a model may be sold below its cost."""
        return super().get_queryset(request).prefetch_related("routes__provider")

    @action(description="Add a route", icon="add", permissions=["prices"])
    def add_route(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:paywalls_route_add", query={"model": object_id}))

    @action(description="Edit prices", icon="table_edit", permissions=["prices"])
    def price_table(self, request: HttpRequest) -> HttpResponse:
        return pricetable.edit(self, request, self.visible(request, Paywall, Can.PRICES))

    @display(description="margin", label=MARGINS)
    def margin(self, model: PaywallModel) -> str:
        return margin(model)

    @admin.action(description="Look up what the providers charge", permissions=["change"])
    def look_up(self, request: HttpRequest, queryset: QuerySet[PaywallModel]) -> None:
        look_up(self, request, queryset.select_related("paywall", "provider"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        warn(self, request, PaywallModel.objects.select_related("paywall").get(pk=obj.pk))

    def create(self, form: ModelForm) -> PaywallModel:
        return services.create_model(form.cleaned_data["paywall"], **form.settings())

    def update(self, row: PaywallModel, form: ModelForm) -> None:
        services.update_model(row, **form.settings())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        shown = ("cost_source", "margin")
        return ("paywall", *shown) if obj else shown

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **options)
        if db_field.name == "description":
            field.widget.attrs["rows"] = 3
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "provider":
            options |= {"form_class": ProviderChoice, "queryset": Provider.objects.select_related("paywall")}
        return super().formfield_for_foreignkey(db_field, request, **options)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A paywall with one provider needs no choosing."""
        initial = super().get_changeform_initial_data(request)
        paywall = Paywall.objects.filter(pk=initial["paywall"]).first() if "paywall" in initial else None
        providers = list(paywall.providers.all()[:2]) if paywall else []
        return {**initial, "provider": providers[0].pk} if len(providers) == 1 else initial
