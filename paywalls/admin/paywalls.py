"""Paywalls, with what they sell."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from config.admin import RelatedRows, SettingsAdmin, action
from config.admin.columns import full_id, itself, link, moment, money, public_id, text
from config.admin.forms import DollarField, PercentField, SettingsForm
from paywalls import rules, services
from paywalls.admin.catalogue import key_state
from paywalls.admin.issuing import issue_for
from paywalls.models import Paywall, PaywallKey, PaywallModel, Provider


class PaywallForm(SettingsForm):
    trial_credit = DollarField(help_text="What a new end user gets once, as a gift.")
    markup_percent = PercentField(help_text="Added on top of every model's price.")

    rules = rules.PAYWALL

    class Meta:
        model = Paywall
        fields = ("tenant", "name", "trial_credit", "markup_percent")

    def check_settings(self) -> None:
        known = self.known()
        tenant = known.tenant if known else self.cleaned_data["tenant"]
        services.check_paywall(tenant, known, **self.settings())


class ProvidersOfPaywall(RelatedRows):
    model = Provider
    fields = readonly_fields = (itself("provider"), text("base_url", "base URL"), key_state)


class ModelsOfPaywall(RelatedRows):
    model = PaywallModel
    fields = readonly_fields = (
        itself("model"),
        link("provider"),
        money("prompt_price", "prompt / 1M"),
        money("completion_price", "completion / 1M"),
        money("request_price", "request"),
    )


class KeysOfPaywall(RelatedRows):
    model = PaywallKey
    fields = readonly_fields = ("__str__", moment("created_at"), moment("revoked_at"))


@admin.register(Paywall)
class PaywallAdmin(SettingsAdmin):
    form = PaywallForm
    list_display = (
        "name",
        link("tenant"),
        "mode",
        money("trial_credit"),
        "markup",
        public_id(),
        moment("created_at"),
    )
    list_filter = ("mode",)
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name", "tenant__email")
    id_lookups = {"paywall": "pk", "tenant": "tenant"}
    autocomplete_fields = ("tenant",)
    inlines = (ModelsOfPaywall, ProvidersOfPaywall, KeysOfPaywall)
    actions_detail = (
        "issue_key",
        {"title": "Add", "icon": "add", "items": ["add_provider", "add_model"]},
    )

    def create(self, form: PaywallForm) -> Paywall:
        return services.create_paywall(form.cleaned_data["tenant"], **form.settings())

    def update(self, row: Paywall, form: PaywallForm) -> None:
        services.update_paywall(row, **form.settings())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        fixed = (full_id(), "tenant", "mode", "config_version", moment("created_at"))
        return fixed if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only one without end users can go: their money is in the books."""
        used = obj is not None and obj.users.exists()
        return not used and super().has_delete_permission(request, obj)

    @admin.display(description="markup", ordering="markup_percent")
    def markup(self, paywall: Paywall) -> str:
        return f"{paywall.markup_percent.normalize():f} %"

    # Permissions by method, not by dotted name: the system checks look those up in the database, and it may
    # still be empty (before the first `migrate`).
    @action(description="Issue a key", icon="key", permissions=["issue_key"])
    def issue_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return issue_for(self, request, get_object_or_404(Paywall, pk=object_id))

    def has_issue_key_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("paywalls.add_paywallkey")

    @action(description="A provider", icon="hub", permissions=["add_provider"])
    def add_provider(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:paywalls_provider_add", query={"paywall": object_id}))

    def has_add_provider_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("paywalls.add_provider")

    @action(description="A model", icon="neurology", permissions=["add_model"])
    def add_model(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:paywalls_paywallmodel_add", query={"paywall": object_id}))

    def has_add_model_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("paywalls.add_paywallmodel")
