"""What the metering API has of tenants: their keys, teams and tiers, and what providers charge."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from config.admin import INSTALLATION, OperatorAdmin, ReadOnlyAdmin, RelatedRows, display
from config.admin.columns import code, link, moment, money
from paywalls import tenantkeys
from paywalls.models import ProviderCost, Team, TeamMember, TenantKey, TierLimits
from paywalls.roles import Can


@admin.register(TenantKey)
class TenantKeyAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    needs = Can.KEYS
    list_display = (
        "key",
        link("tenant"),
        "name",
        "allowed",
        "state",
        moment("last_used_at"),
        moment("expires_at"),
    )
    list_select_related = ("tenant",)
    search_fields = ("last_four__exact", "tenant__name", "tenant__email")
    search_help_text = "The last four characters of a key, or its tenant"
    id_lookups = {"tenant": "tenant"}
    actions = ("revoke",)
    fields = (*list_display, moment("created_at"), moment("revoked_at"))

    @admin.display(description="key", ordering="last_four")
    def key(self, key: TenantKey) -> str:
        return code(str(key))

    @admin.display(description="scopes")
    def allowed(self, key: TenantKey) -> str:
        return ", ".join(key.scopes)

    @display(description="state", label={"live": "success", "expired": "warning", "revoked": "danger"})
    def state(self, key: TenantKey) -> str:
        if key.revoked_at:
            return "revoked"
        return "expired" if key.expires_at and key.expires_at <= timezone.now() else "live"

    @admin.action(description="Revoke", permissions=["keys"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[TenantKey]) -> HttpResponse | None:
        revoked = [key for key in queryset if tenantkeys.revoke(key)]
        for key in revoked:
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"{len(revoked)} revoked: refused from now on.")
        return None


class MembersOfTeam(RelatedRows):
    model = TeamMember
    fields = readonly_fields = (link("user"), moment("created_at"))


@admin.register(Team)
class TeamAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    list_display = ("external_id", "name", link("tenant"), moment("created_at"))
    list_select_related = ("tenant",)
    search_fields = ("external_id__exact", "name", "tenant__name")
    id_lookups = {"team": "pk", "tenant": "tenant"}
    inlines = (MembersOfTeam,)
    fields = list_display


@admin.register(TierLimits)
class TierLimitsAdmin(OperatorAdmin):
    tenant_path = INSTALLATION
    list_display = ("tier", "rate_per_minute", "monthly_events")
    fields = list_display

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("tier",) if obj else ()


@admin.register(ProviderCost)
class ProviderCostAdmin(OperatorAdmin):
    tenant_path = INSTALLATION
    list_display = (
        "provider",
        "model",
        money("prompt_cost", "prompt / 1M"),
        money("completion_cost", "completion / 1M"),
        money("image_cost", "image"),
        money("unit_cost", "unit"),
    )
    search_fields = ("model", "provider__exact")
    fields = (
        "provider",
        "model",
        "prompt_cost",
        "completion_cost",
        "cache_read_cost",
        "cache_write_cost",
        "request_cost",
        "image_cost",
        "unit_cost",
    )
