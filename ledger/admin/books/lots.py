"""Lots: the credits that wallets are made of."""

from django.contrib import admin
from django.http import HttpRequest

from config.admin.columns import badge, code, link, moment, money
from config.admin.filters import ChoicesRadioFilter, MadeBetween
from ledger.admin.books.rows import USER_SEARCH, WalletRows
from ledger.models import Lot


@admin.register(Lot)
class LotAdmin(WalletRows):
    tenant_path = "account__tenant"
    list_display = (
        "name",
        moment("created_at"),
        badge("kind", paid="success", granted="info", trial="warning"),
        link("account.user", "user"),
        link("account.user.paywall", "paywall"),
        money("amount"),
        money("remaining"),
        moment("expires_at"),
    )
    list_filter = (("kind", ChoicesRadioFilter), ("created_at", MadeBetween))
    list_select_related = ("account__user__paywall",)
    search_help_text = f"{USER_SEARCH}, or an id such as usr_…"
    id_lookups = {"user": "account__user"}
    fields = (
        "name",
        "kind",
        link("account", "wallet"),
        money("amount"),
        money("remaining"),
        moment("created_at"),
        moment("expires_at"),
        "priority",
    )

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("account__user__external_id__exact",)

    @admin.display(description="lot", ordering="id")
    def name(self, lot: Lot) -> str:
        return code(f"…{str(lot.pk)[-8:]}", str(lot.pk))
