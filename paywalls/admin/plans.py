"""Plans that paywalls sell by subscription."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from config.admin import SettingsAdmin
from config.admin.columns import link, moment, money
from config.admin.forms import DollarField, SettingsForm, SwitchField
from ledger.payments import upkeep
from paywalls import offers
from paywalls.models import Plan
from paywalls.roles import Can


class PlanForm(SettingsForm):
    credit = DollarField(help_text="What each paid cycle grants.")
    rolls_over = SwitchField(required=False, help_text="What is left at a cycle's end stays.")
    is_active = SwitchField(required=False, initial=True, label="Offered")

    rules = {"name": offers.PLAN_NAME, "price_id": offers.price_id}

    class Meta:
        model = Plan
        fields = ("paywall", "name", "price_id", "credit", "rolls_over", "is_active")

    def check_settings(self) -> None:
        offers.check_plan(self.known(), self.plan())

    def plan(self) -> offers.PlanSettings:
        """What the service is given."""
        known = self.known()
        return {
            "name": known.name if known else self.cleaned_data["name"],
            "price_id": self.cleaned_data["price_id"],
            "credit": self.cleaned_data["credit"],
            "rolls_over": self.cleaned_data["rolls_over"],
            "is_active": self.cleaned_data["is_active"],
        }


@admin.register(Plan)
class PlanAdmin(SettingsAdmin):
    """A worker asks Stripe for a new plan's price; then it is offered."""

    tenant_path = "paywall__tenant"
    needs = Can.PRICES
    form = PlanForm
    list_display = (
        "name",
        link("paywall"),
        money("amount", "price"),
        money("credit"),
        "rolls_over",
        "is_active",
        "fault",
    )
    list_select_related = ("paywall",)
    list_filter = ("is_active",)
    search_fields = ("name", "paywall__name", "price_id__exact")
    id_lookups = {"paywall": "paywall"}
    autocomplete_fields = ("paywall",)

    def create(self, form: PlanForm) -> Plan:
        transaction.on_commit(upkeep.soon)
        return offers.configure_plan(form.cleaned_data["paywall"], form.plan())

    def update(self, row: Plan, form: PlanForm) -> None:
        transaction.on_commit(upkeep.soon)
        offers.configure_plan(row.paywall, form.plan())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        fixed = ("paywall", "name", money("amount", "price"), "interval", "fault", moment("checked_at"))
        return fixed if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One that is no longer sold is switched off: its subscriptions name it."""
        return False
