"""Holds: what is kept back for requests."""

from django.contrib import admin
from django.http import HttpRequest

from config.admin.columns import anchor, badge, full_id, link, list_of, moment, money, page_of, public_id
from config.admin.filters import ChoicesRadioFilter, MadeBetween
from ledger.admin.books.rows import USER_SEARCH, WalletRows
from ledger.models import Hold, ProxyRequest, Transfer


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
    list_filter = (("state", ChoicesRadioFilter), ("created_at", MadeBetween))
    list_select_related = ("account__user__paywall",)
    search_fields = ()
    search_help_text = f"{USER_SEARCH}, or an id such as req_… or usr_…"
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
