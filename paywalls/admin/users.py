"""End users. Apps name them and the gateway makes them; operators look."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin
from config.admin.columns import full_id, link, moment, money, public_id
from config.admin.filters import AutocompleteSelectFilter, MadeBetween
from paywalls.models import EndUser


@admin.register(EndUser)
class EndUserAdmin(ReadOnlyAdmin):
    list_display = (
        "external_id",
        link("paywall"),
        money("wallet.posted", "balance"),
        money("wallet.held", "held"),
        public_id(),
        moment("created_at"),
    )
    list_filter = (("paywall", AutocompleteSelectFilter), ("created_at", MadeBetween))
    list_select_related = ("paywall", "wallet")
    search_fields = ("external_id__exact",)
    search_help_text = "The whole id that the app gave, or an id such as usr_… or pw_…"
    id_lookups = {"user": "pk", "paywall": "paywall"}
    fields = (
        "external_id",
        full_id(),
        link("paywall"),
        link("wallet"),
        money("wallet.posted", "balance"),
        money("wallet.held", "held"),
        moment("created_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("paywall", "wallet")
