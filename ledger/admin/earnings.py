"""What paywalls earn in shared mode: splits and settlements to look at, withdrawals to decide."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin, SettingsAdmin
from config.admin.columns import badge, full_id, link, moment, money
from config.admin.filters import ChoicesRadioFilter, MadeBetween
from ledger import services
from ledger.models import Settlement, Split, Withdrawal
from ledger.services.withdrawals import WrongState

APPROVE, PAID, REFUSE = "approve", "paid", "refuse"


class WithdrawalForm(forms.ModelForm):
    """What to do with a withdrawal."""

    decision = forms.ChoiceField(
        choices=[
            (APPROVE, "Approve it, to be paid"),
            (PAID, "It was paid"),
            (REFUSE, "Refuse it: the earnings have it again"),
        ]
    )

    class Meta:
        model = Withdrawal
        fields = ("reference", "reason")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("decision") == PAID and not given.get("reference", "").strip():
            self.add_error("reference", "A payment needs one, such as the bank's.")
        return given


@admin.register(Withdrawal)
class WithdrawalAdmin(SettingsAdmin):
    """Earnings that a tenant wants to be paid."""

    tenant_path = "tenant"
    form = WithdrawalForm
    list_display = (
        "__str__",
        badge("state", requested="warning", approved="info", paid="success", refused="danger"),
        link("tenant"),
        money("amount"),
        "reference",
        moment("created_at", "requested"),
        moment("paid_at"),
    )
    list_filter = (("state", ChoicesRadioFilter), ("created_at", MadeBetween))
    list_select_related = ("tenant",)
    search_fields = ("tenant__name", "tenant__email", "reference")
    id_lookups = {"withdrawal": "pk", "tenant": "tenant", "paywall": "paywall"}
    _facts = (
        full_id(),
        "state",
        link("tenant"),
        link("paywall"),
        money("amount"),
        moment("created_at", "requested"),
        moment("decided_at"),
        moment("paid_at"),
    )
    readonly_fields = _facts
    fields = (*_facts, "decision", "reference", "reason")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_open = obj is None or obj.state in (Withdrawal.State.REQUESTED, Withdrawal.State.APPROVED)
        return is_open and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        may = self.has_change_permission(request, obj)
        return self.fields if may else (*self._facts, "reference", "reason")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Carry the decision out through its service; Django logs who made it."""
        row, given = Withdrawal.objects.get(pk=obj.pk), form.cleaned_data
        try:
            if given["decision"] == APPROVE:
                services.approve_withdrawal(row)
            elif given["decision"] == PAID:
                services.mark_paid(row, given["reference"])
            else:
                services.refuse_withdrawal(row, given["reason"])
        except WrongState as error:
            self.message_user(request, f"Nothing was changed: {error}.", messages.ERROR)


@admin.register(Settlement)
class SettlementAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    list_display = ("__str__", link("tenant"), money("amount"), moment("created_at"))
    list_filter = (("created_at", MadeBetween),)
    list_select_related = ("tenant",)
    search_fields = ("tenant__name", "tenant__email")
    id_lookups = {"settlement": "pk", "tenant": "tenant"}
    fields = (full_id(), link("tenant"), money("amount"), moment("created_at"))


@admin.register(Split)
class SplitAdmin(ReadOnlyAdmin):
    tenant_path = "tenant"
    list_display = (
        "__str__",
        link("connection.paywall", "paywall"),
        money("amount"),
        money("provider_cost"),
        money("platform_fee"),
        money("earned"),
        link("settlement"),
        moment("created_at"),
    )
    list_filter = (("created_at", MadeBetween),)
    ordering = ("-pk",)
    list_select_related = ("connection__paywall", "settlement")
    search_fields = ("transfer__source__exact",)
    id_lookups = {"activity": "pk", "settlement": "settlement", "paywall": "connection__paywall"}
    fields = (
        link("transfer"),
        link("connection"),
        money("amount"),
        money("provider_cost"),
        money("platform_fee"),
        money("earned"),
        link("settlement"),
        moment("created_at"),
    )
