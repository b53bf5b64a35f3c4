"""Paywall keys: listed, revoked, rotated. They are made on their paywall's page."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from config.admin import ReadOnlyAdmin, display
from config.admin.columns import code, link, moment
from config.admin.filters import RadioFilter
from paywalls import keys
from paywalls.admin import issuing
from paywalls.models import PaywallKey
from paywalls.roles import Can


class StateFilter(RadioFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PaywallKey]) -> QuerySet[PaywallKey]:
        match self.value():
            case "live":
                return queryset.filter(pk__in=keys.live())
            case "expired":
                return queryset.filter(revoked_at=None, expires_at__lte=Now())
            case "revoked":
                return queryset.exclude(revoked_at=None)
        return queryset


STATES = {"live": "success", "ending": "warning", "expired": "danger", "revoked": "danger"}


def state_of(key: PaywallKey) -> str:
    """Whether the key is accepted now, and for good."""
    if key.revoked_at:
        return "revoked"
    if key.expires_at is None:
        return "live"
    return "ending" if key.expires_at > timezone.now() else "expired"


@admin.register(PaywallKey)
class PaywallKeyAdmin(ReadOnlyAdmin):
    tenant_path = "paywall__tenant"
    needs = Can.KEYS
    list_display = (
        "key",
        link("paywall"),
        "kind",
        "state",
        moment("created_at"),
        moment("expires_at"),
        moment("revoked_at"),
    )
    list_filter = (StateFilter,)
    list_select_related = ("paywall",)
    search_fields = ("last_four__exact", "paywall__name")
    search_help_text = "The last four characters of a key, or a paywall's name or id"
    id_lookups = {"paywall": "paywall"}
    actions = ("revoke", "rotate")
    fields = list_display

    @admin.display(description="key", ordering="last_four")
    def key(self, key: PaywallKey) -> str:
        return code(str(key))

    @display(description="state", ordering="revoked_at", label=STATES)
    def state(self, key: PaywallKey) -> str:
        return state_of(key)

    @admin.action(description="Revoke", permissions=["keys"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[PaywallKey]) -> HttpResponse | None:
        return issuing.revoke(self, request, list(queryset.select_related("paywall")))

    @admin.action(description="Rotate: issue a new key beside the old one", permissions=["keys"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[PaywallKey]) -> HttpResponse:
        chosen = list(queryset.select_related("paywall"))
        return issuing.rotate(self, request, chosen, back=request.get_full_path())
