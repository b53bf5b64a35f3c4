"""Shared mode: people with wallets, whom they let charge them, and who asks. Operators look."""

from django.contrib import admin

from config.admin import INSTALLATION, ReadOnlyAdmin
from config.admin.columns import full_id, link, moment, money
from config.admin.filters import AutocompleteSelectFilter, ChoicesRadioFilter, MadeBetween
from paywalls.models import AuthorizationRequest, Connection, WalletUser


@admin.register(WalletUser)
class WalletUserAdmin(ReadOnlyAdmin):
    tenant_path = INSTALLATION
    list_display = (
        "email",
        money("user.wallet.posted", "balance"),
        moment("signed_in_at"),
        moment("created_at"),
    )
    list_filter = (("created_at", MadeBetween),)
    list_select_related = ("user__wallet",)
    search_fields = ("email__exact",)
    search_help_text = "The whole address, or an id such as wus_… or usr_…"
    id_lookups = {"wallet_user": "pk", "user": "user"}
    fields = ("email", full_id(), link("user.wallet", "wallet"), moment("signed_in_at"), moment("created_at"))


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    tenant_path = "paywall__tenant"
    list_display = (
        "__str__",
        link("paywall"),
        link("user"),
        link("wallet_user"),
        money("month_limit"),
        money("month_used"),
        moment("created_at"),
        moment("ended_at"),
    )
    list_filter = (("paywall", AutocompleteSelectFilter), ("created_at", MadeBetween))
    list_select_related = ("paywall", "user", "wallet_user")
    search_fields = ("user__external_id__exact", "wallet_user__email__exact")
    id_lookups = {"connection": "pk", "user": "user", "wallet_user": "wallet_user", "paywall": "paywall"}
    fields = (
        full_id(),
        link("paywall"),
        link("user"),
        link("wallet_user"),
        money("month_limit"),
        "window_day",
        money("month_used"),
        moment("created_at"),
        moment("ended_at"),
    )


@admin.register(AuthorizationRequest)
class AuthorizationRequestAdmin(ReadOnlyAdmin):
    tenant_path = "user__paywall__tenant"
    list_display = (
        "__str__",
        "state",
        link("user.paywall", "paywall"),
        link("user"),
        "reason",
        moment("created_at"),
        moment("expires_at"),
        moment("answered_at"),
    )
    list_filter = (("state", ChoicesRadioFilter), ("created_at", MadeBetween))
    list_select_related = ("user__paywall",)
    search_fields = ("user__external_id__exact",)
    id_lookups = {"authorization": "pk", "user": "user", "paywall": "user__paywall"}
    fields = (
        full_id(),
        "state",
        link("user.paywall", "paywall"),
        link("user"),
        link("wallet_user"),
        "reason",
        moment("created_at"),
        moment("expires_at"),
        moment("answered_at"),
    )
