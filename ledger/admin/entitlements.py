"""Entitlements, and how often features were used."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin, SettingsAdmin
from config.admin.columns import badge, link, moment, text
from config.admin.filters import ChoicesRadioFilter
from ledger.entitlements import services
from ledger.models import Entitlement, FeatureUsage
from paywalls.roles import Can


class EntitlementForm(forms.ModelForm):
    """A limit whose parts fit together."""

    class Meta:
        model = Entitlement
        fields = ("tenant", "feature_id", "user_id", "limit_type", "limit_value", "period", "metadata")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        try:
            self.limit = services.checked_limit(
                cleaned.get("limit_type", ""), cleaned.get("limit_value"), cleaned.get("period")
            )
        except services.InvalidLimit as error:
            self.add_error("limit_value", str(error).partition(": ")[2])
        return cleaned


@admin.register(Entitlement)
class EntitlementAdmin(SettingsAdmin):
    tenant_path = "tenant"
    needs = Can.SETTINGS
    form = EntitlementForm
    list_display = (
        text("feature_id", "feature"),
        text("user_id", "user"),
        link("tenant"),
        badge("limit_type", "limit", HARD="danger", SOFT="warning", NONE="info"),
        "limit_value",
        "period",
        moment("created_at"),
    )
    list_filter = (("limit_type", ChoicesRadioFilter), ("period", ChoicesRadioFilter))
    list_select_related = ("tenant",)
    search_fields = ("feature_id__exact", "user_id__exact")
    search_help_text = "The whole id of a feature or an end user, or a tenant's (ten_…)"
    id_lookups = {"tenant": "tenant"}

    def create(self, form: EntitlementForm) -> Entitlement:
        asked = form.cleaned_data
        return services.create(
            asked["tenant"].pk,
            asked["feature_id"],
            form.limit,
            user_id=asked["user_id"],
            metadata=asked["metadata"] or {},
        )

    def update(self, row: Entitlement, form: EntitlementForm) -> None:
        services.change(row, form.limit, form.cleaned_data["metadata"] or {})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return ("tenant", "feature_id", "user_id") if obj else ()


@admin.register(FeatureUsage)
class FeatureUsageAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    list_display = (
        text("feature_id", "feature"),
        text("user_id", "user"),
        link("tenant"),
        text("day", "last used"),
        text("day_used", "that day"),
        text("month_used", "that month"),
        text("total_used", "ever"),
    )
    list_select_related = ("tenant",)
    search_fields = ("feature_id__exact", "user_id__exact")
    search_help_text = "The whole id of a feature or an end user, or a tenant's (ten_…)"
    id_lookups = {"tenant": "tenant"}
    fields = ("tenant", "feature_id", "user_id", "day", "day_used", "month_used", "total_used")
