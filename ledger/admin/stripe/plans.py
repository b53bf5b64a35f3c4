"""Who is subscribed to which plan."""

from django.contrib import admin

from config.admin import ReadOnlyAdmin
from config.admin.columns import link, moment
from config.admin.filters import MadeBetween
from ledger.models import PlanSubscription


@admin.register(PlanSubscription)
class PlanSubscriptionAdmin(ReadOnlyAdmin):
    tenant_path = "wallet__tenant"
    list_display = (
        "subscription_id",
        "plan",
        "status",
        "ends_with_cycle",
        link("wallet.user", "user"),
        moment("cycle_ends_at"),
    )
    list_filter = ("status", ("created_at", MadeBetween))
    list_select_related = ("wallet__user", "plan")
    search_fields = ("subscription_id__exact",)
    search_help_text = "A whole id such as sub_… of Stripe's, or usr_…"
    id_lookups = {"user": "wallet__user"}
    fields = (
        "subscription_id",
        "plan",
        "status",
        "ends_with_cycle",
        link("wallet.user", "user"),
        moment("created_at"),
        moment("cycle_ends_at"),
    )
