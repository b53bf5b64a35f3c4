"""Top-up links, to be looked at."""

from django.contrib import admin
from django.utils import timezone

from config.admin import ReadOnlyAdmin, display
from config.admin.columns import full_id, link, moment, public_id
from config.admin.filters import MadeBetween
from ledger.models import TopUpLink


@admin.register(TopUpLink)
class TopUpLinkAdmin(ReadOnlyAdmin):
    tenant_path = "user__paywall__tenant"
    list_display = (
        public_id(),
        moment("created_at"),
        "state",
        link("user"),
        link("user.paywall", "paywall"),
        moment("paid_at"),
        moment("expires_at"),
    )
    list_filter = (("created_at", MadeBetween),)
    list_select_related = ("user__paywall",)
    search_fields = ("user__external_id__exact",)
    search_help_text = "The whole id of an end user, or an id such as lnk_… or usr_…"
    id_lookups = {"link": "pk", "user": "user"}
    fields = (
        full_id(),
        "state",
        link("user"),
        link("user.paywall", "paywall"),
        moment("created_at"),
        moment("paid_at"),
        moment("expires_at"),
    )

    @display(description="state", label={"paid": "success", "open": "info", "expired": "warning"})
    def state(self, topup: TopUpLink) -> str:
        if topup.paid_at:
            return "paid"
        return "open" if topup.expires_at > timezone.now() else "expired"
