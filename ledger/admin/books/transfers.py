"""Transfers: what moved, why, and the ways to give it back."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from config import ids
from config.admin import action
from config.admin.columns import (
    anchor,
    badge,
    code,
    full_id,
    link,
    moment,
    money,
    money_html,
    page_of,
    public_id,
)
from config.admin.exporting import ExportedRows, dollars
from config.admin.filters import AutocompleteSelectFilter, ChoicesRadioFilter, MadeBetween
from ledger.admin import refunds
from ledger.admin.books.rows import USER_SEARCH, WalletRows
from ledger.admin.requests import told_about
from ledger.models import Hold, Lot, ProxyRequest, Transfer


@admin.register(Transfer)
class TransferAdmin(ExportedRows, WalletRows):
    export_columns = {
        "activity_id": lambda row: row.public_id,
        "created_at": lambda row: row.created_at,
        "kind": lambda row: row.kind,
        "user": lambda row: row.wallet.user.external_id if row.wallet.user else "",
        "paywall": lambda row: row.wallet.user.paywall.name if row.wallet.user else "",
        "amount": dollars(lambda row: row.balance_after - row.balance_before),
        "balance_after": dollars(lambda row: row.balance_after),
        "request_id": lambda row: ids.public("request", row.request_id) if row.request_id else "",
        "source": lambda row: row.source,
    }
    tenant_path = "tenant"
    wallet_field = "wallet"
    list_display = (
        public_id(),
        moment("created_at"),
        badge(
            "kind",
            deposit="success",
            trial="success",
            usage="info",
            charge="info",
            expiry="warning",
            grant="success",
            refund="warning",
            reversal="danger",
            adjustment="warning",
        ),
        link("wallet.user", "user"),
        link("wallet.user.paywall", "paywall"),
        "change_money",
        money("balance_after"),
        "cause",
    )
    list_filter = (
        ("kind", ChoicesRadioFilter),
        ("tenant", AutocompleteSelectFilter),
        ("created_at", MadeBetween),
    )
    list_select_related = ("wallet__user__paywall",)
    search_fields = ("source__startswith",)
    search_help_text = f"{USER_SEARCH}, the beginning of a source, or an id such as act_…, req_… or usr_…"
    actions_detail = ("refund", "reverse")
    id_lookups = {"activity": "pk", "request": "request_id", "user": "wallet__user", "tenant": "tenant"}
    fieldsets = (
        (
            None,
            {
                "fields": (
                    full_id(),
                    "kind",
                    "change_money",
                    "cause",
                    moment("created_at"),
                    "charged_request",
                    "told",
                    link("reverses"),
                )
            },
        ),
        ("Accounts", {"fields": (link("debit_account"), link("credit_account"), link("tenant"))}),
        (
            "Wallet",
            {"fields": (link("wallet"), money("balance_before"), money("balance_after"), "version", "burnt")},
        ),
        ("Metadata", {"fields": ("details",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("tenant", "wallet__user__paywall")

    @action(description="Refund", icon="undo", permissions=["money"])
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return refunds.refund(self, request, get_object_or_404(self.get_queryset(request), pk=object_id))

    @action(description="Take back", icon="remove_circle", permissions=["money"])
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return refunds.reverse(self, request, get_object_or_404(self.get_queryset(request), pk=object_id))

    @admin.display(description="amount", ordering="amount")
    def change_money(self, transfer: Transfer) -> str:
        """What the wallet gained or paid."""
        change = transfer.balance_after - transfer.balance_before
        return money_html(change, tone="in" if change > 0 else "out")

    @admin.display(description="source", ordering="source")
    def cause(self, transfer: Transfer) -> str:
        return code(transfer.source)

    @admin.display(description="request")
    def charged_request(self, transfer: Transfer) -> str | None:
        """The request that was charged, and its hold."""
        if transfer.request_id is None:
            return None
        name = ids.public("request", transfer.request_id)
        asked = ProxyRequest.objects.filter(pk=transfer.request_id).first()
        hold = Hold.objects.filter(pk=transfer.request_id).first()
        links = [anchor(page_of(asked), name) if asked else code(name)]
        if hold:
            links.append(anchor(page_of(hold), "its hold"))
        return mark_safe(" · ".join(links))  # noqa: S308 (made of escaped parts)

    @admin.display(description="events")
    def told(self, transfer: Transfer) -> str | None:
        """What was told about the request."""
        return told_about(transfer.request_id) if transfer.request_id else None

    @admin.display(description="lots")
    def burnt(self, transfer: Transfer) -> str | None:
        """Which credits the amount went to or came from."""
        parts = [
            format_html("{} · {}", money_html(amount), anchor(page_of(Lot(pk=lot)), f"lot …{str(lot)[-8:]}"))
            for lot, amount in transfer.lots
        ]
        return mark_safe("<br>".join(parts)) if parts else None  # noqa: S308 (made of escaped parts)

    @admin.display(description="metadata")
    def details(self, transfer: Transfer) -> str | None:
        return code(json.dumps(transfer.metadata, ensure_ascii=False)) if transfer.metadata else None
