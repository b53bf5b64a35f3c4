"""The books, to be looked at. Every row here is written by `ledger.posting` only."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from config import ids
from config.admin import ReadOnlyAdmin, action, display
from config.admin.columns import (
    anchor,
    badge,
    code,
    full_id,
    link,
    list_of,
    moment,
    money,
    money_html,
    page_of,
    public_id,
)
from config.admin.exporting import ExportedRows, dollars
from config.admin.filters import AutocompleteSelectFilter, ChoicesRadioFilter, MadeBetween
from ledger.admin import refunds
from ledger.admin.requests import told_about
from ledger.models import Account, Hold, Lot, ProxyRequest, Transfer
from paywalls.models import EndUser, Paywall

# Wallets that a search by an end user's id goes through at the most (the id may be known to many paywalls).
_WALLETS_FOUND = 100

_MADE = ("created_at", MadeBetween)
_USER_SEARCH = "The whole id of an end user"


class WalletRows(ReadOnlyAdmin):
    """Rows of a wallet: found by its owner, through the wallet's index rather than by joining every row."""

    wallet_field = "account"

    def search_words(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not term:
            return queryset, False
        # By paywall, because the index of users begins with it.
        users = EndUser.objects.filter(external_id=term, paywall__in=Paywall.objects.values("pk"))
        mine = self.visible(request, Account).filter(user__in=users)
        wallets = mine.values_list("pk", flat=True)[:_WALLETS_FOUND]
        found = Q(**{f"{self.wallet_field}__in": list(wallets)})
        for field in self.search_fields:
            found |= Q(**{field: term})
        return queryset.filter(found), False


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
    list_filter = (("kind", ChoicesRadioFilter), ("tenant", AutocompleteSelectFilter), _MADE)
    list_select_related = ("tenant", "user__paywall")
    search_fields = ("user__external_id__exact",)
    search_help_text = f"{_USER_SEARCH}, or an id such as usr_… or ten_…"
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
    list_filter = (("kind", ChoicesRadioFilter), ("tenant", AutocompleteSelectFilter), _MADE)
    list_select_related = ("wallet__user__paywall",)
    search_fields = ("source__startswith",)
    search_help_text = f"{_USER_SEARCH}, the beginning of a source, or an id such as act_…, req_… or usr_…"
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


@admin.register(Hold)
class HoldAdmin(WalletRows):
    tenant_path = "account__tenant"
    list_display = (
        public_id(),
        moment("created_at"),
        badge("state", open="info", captured="success", expired="danger"),
        link("account.user", "user"),
        link("account.user.paywall", "paywall"),
        money("amount", "held"),
        money("captured"),
        moment("expires_at"),
    )
    list_filter = (("state", ChoicesRadioFilter), _MADE)
    list_select_related = ("account__user__paywall",)
    search_fields = ()
    search_help_text = f"{_USER_SEARCH}, or an id such as req_… or usr_…"
    id_lookups = {"request": "pk", "hold": "pk", "user": "account__user"}
    fields = (
        full_id(),
        "kind",
        "state",
        link("account", "wallet"),
        money("amount", "held"),
        money("captured"),
        "asked",
        "transfers",
        moment("created_at"),
        moment("expires_at"),
    )

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Not empty, or there would be no search box; `search_words` looks by the owner."""
        return ("account__user__external_id__exact",)

    @admin.display(description="request")
    def asked(self, hold: Hold) -> str | None:
        """The request that it was for."""
        request = ProxyRequest.objects.filter(pk=hold.pk).first()
        return anchor(page_of(request), str(request)) if request else None

    @admin.display(description="transfers")
    def transfers(self, hold: Hold) -> str | None:
        """What was charged for the request."""
        if hold.state != Hold.State.CAPTURED:
            return None
        return anchor(list_of(Transfer, q=hold.public_id), "Transfers of this request")


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
    list_filter = (("kind", ChoicesRadioFilter), _MADE)
    list_select_related = ("account__user__paywall",)
    search_help_text = f"{_USER_SEARCH}, or an id such as usr_…"
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


def _of_wallet(account: Account, nano: int) -> str:
    """A house account keeps no running balance: it is the sum of its transfers."""
    if account.kind == Account.Kind.WALLET:
        return money_html(nano)
    return mark_safe('<span class="money">—</span>')
