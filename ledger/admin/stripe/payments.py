"""What end users paid there: checkouts, payments, auto top-ups."""

from django.contrib import admin

from config.admin import ReadOnlyAdmin
from config.admin.columns import badge, link, moment, money
from config.admin.filters import ChoicesRadioFilter, MadeBetween
from ledger.models import AutoCharge, StripeCheckout, StripePayment


@admin.register(StripeCheckout)
class StripeCheckoutAdmin(ReadOnlyAdmin):
    tenant_path = "wallet__tenant"
    list_display = (
        "__str__",
        "purpose",
        badge("state", done="success", mismatch="danger", failed="warning"),
        money("amount"),
        link("wallet.user", "user"),
        moment("created_at"),
    )
    list_filter = (
        ("state", ChoicesRadioFilter),
        ("purpose", ChoicesRadioFilter),
        ("created_at", MadeBetween),
    )
    list_select_related = ("wallet__user",)
    search_fields = ("session_id__exact",)
    search_help_text = "A whole id such as cs_…, or usr_…"
    id_lookups = {"user": "wallet__user"}
    fields = (
        "session_id",
        "purpose",
        "state",
        "error",
        money("amount"),
        "plan",
        link("wallet.user", "user"),
        link("link"),
        moment("created_at"),
        moment("checked_at"),
    )


@admin.register(StripePayment)
class StripePaymentAdmin(ReadOnlyAdmin):
    tenant_path = "wallet__tenant"
    list_display = (
        "object_id",
        "kind",
        money("amount"),
        money("credited"),
        money("reversed"),
        "disputed",
        link("wallet.user", "user"),
        moment("created_at"),
    )
    list_filter = (("kind", ChoicesRadioFilter), "disputed", ("created_at", MadeBetween))
    list_select_related = ("wallet__user",)
    search_fields = ("object_id__exact", "payment_intent__exact")
    search_help_text = "A whole id such as cs_…, pi_… or in_…, or usr_…"
    id_lookups = {"user": "wallet__user"}
    fields = (
        "object_id",
        "payment_intent",
        "kind",
        money("amount"),
        money("credited"),
        money("reversed"),
        "disputed",
        link("wallet.user", "user"),
        moment("created_at"),
    )


@admin.register(AutoCharge)
class AutoChargeAdmin(ReadOnlyAdmin):
    tenant_path = "wallet__tenant"
    list_display = (
        "__str__",
        badge("state", paid="success", declined="warning", failed="danger"),
        money("amount"),
        link("wallet.user", "user"),
        "error",
        moment("created_at"),
    )
    list_filter = (("state", ChoicesRadioFilter), ("created_at", MadeBetween))
    list_select_related = ("wallet__user",)
    id_lookups = {"user": "wallet__user"}
    fields = (
        "state",
        money("amount"),
        link("wallet.user", "user"),
        "payment_intent",
        "attempts",
        "error",
        moment("created_at"),
        moment("next_attempt_at"),
    )
