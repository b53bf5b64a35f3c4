"""Wallets and house accounts, and what is in them."""

from django.contrib import admin
from django.utils.safestring import mark_safe

from config.admin import ReadOnlyAdmin, display
from config.admin.columns import anchor, link, list_of, moment, money, money_html
from config.admin.filters import AutocompleteSelectFilter, ChoicesRadioFilter, MadeBetween
from ledger.admin.books.rows import USER_SEARCH
from ledger.models import Account, Hold, Lot, Transfer


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    list_display = (
        "owner",
        "type",
        link("user.paywall"),
        link("tenant"),
        "posted_money",
        "held_money",
        "available_money",
        moment("created_at"),
    )
    list_filter = (
        ("kind", ChoicesRadioFilter),
        ("tenant", AutocompleteSelectFilter),
        ("created_at", MadeBetween),
    )
    list_select_related = ("tenant", "user__paywall")
    search_fields = ("user__external_id__exact",)
    search_help_text = f"{USER_SEARCH}, or an id such as usr_… or ten_…"
    id_lookups = {"user": "user", "tenant": "tenant"}
    fieldsets = (
        (None, {"fields": ("kind", link("tenant"), link("user"), link("user.paywall"))}),
        (
            "Balance",
            {"fields": ("posted_money", "held_money", "available_money", moment("next_expiry"), "version")},
        ),
        (
            "Limits",
            {
                "fields": (
                    money("day_limit"),
                    money("day_used"),
                    money("month_limit"),
                    money("month_used"),
                    "window_day",
                    money("low_balance"),
                )
            },
        ),
        ("Rows", {"fields": ("related",)}),
    )

    @admin.display(description="account")
    def owner(self, account: Account) -> str:
        return str(account.user or account.get_kind_display())

    @display(description="type", ordering="kind", label={"wallet": "info", "house": "primary"})
    def type(self, account: Account) -> str:
        return "wallet" if account.kind == Account.Kind.WALLET else "house"

    @admin.display(description="posted", ordering="posted")
    def posted_money(self, account: Account) -> str:
        return _of_wallet(account, account.posted)

    @admin.display(description="held", ordering="held")
    def held_money(self, account: Account) -> str:
        return _of_wallet(account, account.held)

    @admin.display(description="available")
    def available_money(self, account: Account) -> str:
        return _of_wallet(account, account.available)

    @admin.display(description="its rows")
    def related(self, account: Account) -> str:
        """Where to go on from here."""
        if account.kind != Account.Kind.WALLET:
            return anchor(list_of(Transfer, tenant__id__exact=account.tenant_id), "Transfers of the tenant")
        rows = (
            (Transfer, "Transfers", {"wallet__id__exact": account.pk}),
            (Hold, "Open holds", {"account__id__exact": account.pk, "state__exact": "open"}),
            (Lot, "Lots", {"account__id__exact": account.pk}),
        )
        links = [anchor(list_of(model, **lookups), text) for model, text, lookups in rows]
        return mark_safe(" · ".join(links))  # noqa: S308 (made of escaped parts)


def _of_wallet(account: Account, nano: int) -> str:
    """A house account keeps no running balance: it is the sum of its transfers."""
    if account.kind == Account.Kind.WALLET:
        return money_html(nano)
    return mark_safe('<span class="money">—</span>')
