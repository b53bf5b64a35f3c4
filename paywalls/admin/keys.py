"""Paywall keys: listed, revoked, replaced. They are made on their paywall's page."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from config.admin import ReadOnlyAdmin, display
from config.admin.columns import code, link, moment
from config.admin.filters import RadioFilter
from paywalls.admin import issuing
from paywalls.models import PaywallKey


class StateFilter(RadioFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PaywallKey]) -> QuerySet[PaywallKey]:
        if self.value() in {"live", "revoked"}:
            return queryset.filter(revoked_at__isnull=self.value() == "live")
        return queryset


@admin.register(PaywallKey)
class PaywallKeyAdmin(ReadOnlyAdmin):
    list_display = ("key", link("paywall"), "state", moment("created_at"), moment("revoked_at"))
    list_filter = (StateFilter,)
    list_select_related = ("paywall",)
    search_fields = ("last_four__exact", "paywall__name")
    search_help_text = "The last four characters of a key, or a paywall's name or id"
    id_lookups = {"paywall": "paywall"}
    actions = ("revoke", "replace")
    fields = list_display

    @admin.display(description="key", ordering="last_four")
    def key(self, key: PaywallKey) -> str:
        return code(str(key))

    @display(description="state", ordering="revoked_at", label={"live": "success", "revoked": "danger"})
    def state(self, key: PaywallKey) -> str:
        return "revoked" if key.revoked_at else "live"

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[PaywallKey]) -> HttpResponse | None:
        return issuing.revoke(self, request, list(queryset.select_related("paywall")))

    @admin.action(description="Replace: issue a new key, revoke the old one", permissions=["revoke", "issue"])
    def replace(self, request: HttpRequest, queryset: QuerySet[PaywallKey]) -> HttpResponse:
        return issuing.replace(self, request, list(queryset.select_related("paywall")))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("paywalls.change_paywallkey")

    def has_issue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("paywalls.add_paywallkey")
