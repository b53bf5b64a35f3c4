"""Reported usage and burn tables, to be looked at."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin
from config.admin.columns import link, moment, money
from config.admin.filters import MadeBetween
from ledger.metering import billing
from ledger.metering.reading import MAX_EVENTS
from ledger.models import BurnTable, UsageEvent
from paywalls.roles import Can


@admin.register(UsageEvent)
class UsageEventAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    list_display = (
        moment("created_at"),
        "event_type",
        "feature_id",
        link("tenant"),
        link("user"),
        link("team"),
        "model",
        "state",
        money("amount"),
        money("cost"),
    )
    list_filter = (("created_at", MadeBetween), "state", "event_type")
    list_select_related = ("tenant", "user", "team")
    search_fields = ("event_id__exact",)
    search_help_text = "The event_id that the app gave, or an id such as ten_…, usr_… or team_…"
    id_lookups = {"tenant": "tenant", "user": "user", "team": "team"}
    actions = ("bill",)
    fields = (
        *list_display,
        "event_id",
        "idempotency_key",
        "batch_id",
        "timestamp",
        link("wallet"),
        "provider",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "images",
        "unit_type",
        "quantity",
        "metadata",
    )

    @admin.action(description="Bill what these tenants have unbilled", permissions=["money"])
    def bill(self, request: HttpRequest, queryset: QuerySet[UsageEvent]) -> None:
        tenants = {event.tenant for event in queryset.select_related("tenant")}
        billed = [billing.bill(tenant, MAX_EVENTS) for tenant in tenants]
        done, left = sum(one.events for one in billed), sum(one.waiting for one in billed)
        self.message_user(request, f"{done} events billed, {left} of those looked at still can't be.")


@admin.register(BurnTable)
class BurnTableAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    needs = Can.PRICES
    list_display = (
        "name",
        link("tenant"),
        "version",
        "is_active",
        moment("valid_from"),
        moment("valid_until"),
        moment("created_at"),
    )
    list_filter = ("is_active",)
    list_select_related = ("tenant",)
    search_fields = ("name", "tenant__name")
    id_lookups = {"tenant": "tenant"}
    fields = (*list_display, "rules")
