"""Tenants."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from config.admin import RelatedRows, SettingsAdmin
from config.admin.columns import full_id, itself, moment, public_id, text
from config.admin.forms import SettingsForm
from paywalls import rules, services
from paywalls.models import Paywall, Tenant
from paywalls.operators import access_of
from paywalls.roles import Can


class TenantForm(SettingsForm):
    rules = rules.TENANT

    class Meta:
        model = Tenant
        fields = ("name", "email", "credits_per_usd", "tier", "uncovered_usage")
        labels = {"credits_per_usd": "Credits per USD"}

    def check_settings(self) -> None:
        services.check_tenant(self.known(), **self.settings())


class PaywallsOfTenant(RelatedRows):
    model = Paywall
    fields = readonly_fields = (itself("paywall"), "mode", moment("created_at"))


@admin.register(Tenant)
class TenantAdmin(SettingsAdmin):
    tenant_path = "pk"
    needs = Can.TEAM
    form = TenantForm
    list_display = (
        "name",
        "email",
        text("credits_per_usd", "credits per USD"),
        public_id(),
        moment("created_at"),
    )
    search_fields = ("name", "email")
    id_lookups = {"tenant": "pk"}
    inlines = (PaywallsOfTenant,)

    def create(self, form: TenantForm) -> Tenant:
        return services.create_tenant(**form.settings())

    def update(self, row: Tenant, form: TenantForm) -> None:
        services.update_tenant(row, **form.settings())

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        if obj is None:
            return ()
        facts = (full_id(), moment("created_at"))
        # What a tenant has signed up for is the installation's to say.
        return facts if access_of(request.user).everything else ("tier", *facts)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return access_of(request.user).everything

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only one without paywalls and books can go: its history is not ours to lose."""
        used = obj is not None and (obj.paywalls.exists() or obj.accounts.exists())
        return not used and access_of(request.user).everything and super().has_delete_permission(request, obj)
