"""End users. Apps name them and the gateway makes them; operators look, and set limits."""

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect

from config.admin import SettingsAdmin, action, display
from config.admin.columns import full_id, link, moment, money, page_of, public_id
from config.admin.exporting import ExportedRows, dollars
from config.admin.filters import AutocompleteSelectFilter, MadeBetween
from ledger import export, spending
from ledger import services as ledger
from ledger.windows import Limits
from paywalls import rules, services, standing
from paywalls.admin import userlinks, usermoney, userpage
from paywalls.admin.limits import LABELS, OF_THIS_USER, SPEND, RequestLimitsForm
from paywalls.admin.standing import undo, with_reason
from paywalls.models import EndUser, Paywall
from paywalls.models.limits import REQUEST_LIMITS
from paywalls.roles import Can
from paywalls.users import UserRef


class EndUserForm(RequestLimitsForm):
    rules = {**rules.USER, **{name: rules.PAYWALL[name] for name in SPEND}}

    class Meta:
        model = EndUser
        fields = REQUEST_LIMITS
        labels = LABELS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if wallet := getattr(self.instance, "wallet", None):
            self.initial.update(spend_per_day=wallet.day_limit, spend_per_month=wallet.month_limit)

    def check_settings(self) -> None:
        services.check_user(self.instance, **self.request_limits())

    def request_limits(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in REQUEST_LIMITS}

    def spend_limits(self) -> Limits:
        return Limits(*(self.cleaned_data[name] for name in SPEND))


@admin.register(EndUser)
class EndUserAdmin(ExportedRows, SettingsAdmin):
    export_columns = {
        "user_id": lambda row: row.public_id,
        "external_id": lambda row: row.external_id,
        "paywall": lambda row: row.paywall.name,
        "balance": dollars(lambda row: row.wallet.posted if hasattr(row, "wallet") else None),
        "held": dollars(lambda row: row.wallet.held if hasattr(row, "wallet") else None),
        "blocked_at": lambda row: row.blocked_at,
        "created_at": lambda row: row.created_at,
    }
    tenant_path = "paywall__tenant"
    needs = Can.USERS
    form = EndUserForm
    list_display = (
        "external_id",
        link("paywall"),
        money("wallet.posted", "balance"),
        money("spent"),
        moment("active_at", "last activity"),
        "state",
        public_id(),
        moment("created_at"),
    )
    # The figures are read for the rows of a page; sorting by them would read everybody's.
    sortable_by = ("external_id",)
    list_filter = (("paywall", AutocompleteSelectFilter), ("created_at", MadeBetween))
    list_select_related = ("paywall", "wallet")
    search_fields = ("external_id__exact",)
    search_help_text = "The whole id that the app gave, or an id such as usr_… or pw_…"
    id_lookups = {"user": "pk", "paywall": "paywall"}
    readonly_fields = (
        "external_id",
        full_id(),
        link("paywall"),
        link("wallet"),
        moment("blocked_at"),
        "blocked_reason",
        moment("created_at"),
    )
    fieldsets = ((None, {"fields": readonly_fields}), OF_THIS_USER)
    actions = ("block", "unblock")
    actions_detail = (
        {"title": "Money", "icon": "payments", "items": ["grant", "charge", "adjust"]},
        {"title": "Links", "icon": "link", "items": ["topup_link", "connect_link"]},
        "export",
    )
    change_form_outer_before_template = "admin/paywalls/figures_and_sections.html"

    @display(
        description="state",
        label={
            "own balance": "info",
            "connected": "success",
            "not connected": "warning",
            "blocked": "danger",
        },
    )
    def state(self, user: EndUser) -> str:
        return userpage.state_of(user)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """What the user has and did, above their settings."""
        user = self.get_object(request, object_id)
        shown = userpage.overview(user) if user and self.has_view_permission(request, user) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @action(description="Grant credit", icon="redeem", permissions=["grants"])
    def grant(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._with_own_balance(request, object_id, usermoney.grant)

    @action(description="Charge", icon="point_of_sale", permissions=["money"])
    def charge(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return usermoney.charge(self, request, self._user(request, object_id))

    @action(description="Adjust the balance", icon="tune", permissions=["money"])
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._with_own_balance(request, object_id, usermoney.adjust)

    @action(description="Top-up link", icon="add_card", permissions=["users"])
    def topup_link(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return userlinks.topup(self, request, self._user(request, object_id))

    @action(description="Link to connect a wallet", icon="cable", permissions=["users"])
    def connect_link(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return userlinks.connect(self, request, self._user(request, object_id))

    @action(description="Export", icon="download", permissions=["view"])
    def export(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """Every transfer of the user as CSV."""
        user = self._user(request, object_id)
        answer = StreamingHttpResponse(
            export.of_user(UserRef(user.paywall_id, user.external_id)), content_type="text/csv; charset=utf-8"
        )
        answer["Content-Disposition"] = f'attachment; filename="{user.public_id}.csv"'
        return answer

    def _user(self, request: HttpRequest, object_id: str) -> EndUser:
        return get_object_or_404(self.get_queryset(request), pk=object_id)

    def _with_own_balance(self, request: HttpRequest, object_id: str, do: Any) -> HttpResponse:
        """In shared mode the balance is the person's own wallet, which no paywall gives to or takes from by hand."""
        user = self._user(request, object_id)
        if user.paywall.mode == Paywall.Mode.SHARED:
            told = "In shared mode the balance is the person's own wallet: it can be charged, and charges refunded."
            self.message_user(request, told, messages.ERROR)
            return redirect(page_of(user))
        answer: HttpResponse = do(self, request, user)
        return answer

    @admin.action(description="Block", permissions=["users"])
    def block(self, request: HttpRequest, queryset: QuerySet[EndUser]) -> HttpResponse | None:
        return with_reason(
            self,
            request,
            list(queryset),
            standing.block_user,
            question="Block these end users?",
            consequence="Their requests, charges and top-ups are refused from the next one on. Balances stay.",
            button="Block",
            done="Blocked",
            back=request.get_full_path(),
        )

    @admin.action(description="Unblock", permissions=["users"])
    def unblock(self, request: HttpRequest, queryset: QuerySet[EndUser]) -> None:
        undo(self, request, list(queryset), standing.unblock_user, "Unblocked")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return spending.with_activity(super().get_queryset(request).select_related("paywall", "wallet"))

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def update(self, row: EndUser, form: EndUserForm) -> None:
        services.update_user(row, **form.request_limits())
        user = UserRef(row.paywall_id, row.external_id)
        wallet = ledger.wallet_settings(user)
        if wallet.limits != form.spend_limits():
            ledger.configure_wallet(user, replace(wallet, limits=form.spend_limits()))
