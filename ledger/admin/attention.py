"""What somebody has to look at: alerts to resolve, and lost requests to reconcile."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest

from config.admin import INSTALLATION, OperatorAdmin, SettingsAdmin, action
from config.admin.base import ReadOnlyMixin
from config.admin.columns import badge, link, moment, money
from config.admin.filters import ChoicesRadioFilter, MadeBetween, RadioFilter
from config.admin.forms import DollarField
from ledger import alerts, reconciliation
from ledger.errors import Refusal
from ledger.models import OperatorAlert, ReconciliationItem
from paywalls.roles import Can


class ResolvedFilter(RadioFilter):
    title = "resolved"
    parameter_name = "resolved"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "No"), ("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OperatorAlert]) -> QuerySet[OperatorAlert]:
        known = self.value() in ("no", "yes")
        return queryset.filter(resolved_at__isnull=self.value() == "no") if known else queryset


@admin.register(OperatorAlert)
class OperatorAlertAdmin(ReadOnlyMixin, OperatorAdmin):
    """Raised by the product. An operator resolves it; where the cause is still there it opens anew."""

    tenant_path = INSTALLATION
    list_display = (
        "kind",
        moment("created_at", "opened"),
        moment("seen_at"),
        moment("resolved_at"),
        "resolved_by",
    )
    list_filter = (ResolvedFilter, ("kind", ChoicesRadioFilter), ("created_at", MadeBetween))
    fields = ("kind", "text", moment("created_at"), moment("seen_at"), moment("resolved_at"), "resolved_by")
    actions = ("resolve",)

    @action(description="Resolve", permissions=["settings"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[OperatorAlert]) -> None:
        for alert in queryset:
            if alerts.resolve_alert(alert, actor=request.user.get_username()):
                _log(request, alert, "Resolved.")
                self.message_user(request, f"{alert}: resolved.", messages.SUCCESS)


class ReconciliationForm(forms.ModelForm):
    """What the request cost, where somebody knows it; empty closes the item without a charge."""

    charge = DollarField(required=False, help_text="What to charge. Empty: nothing, the item is closed.")

    class Meta:
        model = ReconciliationItem
        fields = ("note",)


@admin.register(ReconciliationItem)
class ReconciliationItemAdmin(SettingsAdmin):
    """Requests of which nobody knows how they ended. Saving an open one closes it."""

    tenant_path = "hold__account__tenant"
    needs = Can.MONEY
    form = ReconciliationForm
    list_display = (
        "__str__",
        badge("state", open="warning", charged="success", released="info"),
        link("hold.account.user", "user"),
        money("hold.amount", "was held"),
        money("hold.captured", "charged"),
        moment("created_at", "lost"),
        moment("deadline"),
        "closed_by",
    )
    list_filter = (("state", ChoicesRadioFilter), ("created_at", MadeBetween))
    list_select_related = ("hold__account__user",)
    id_lookups = {"request": "hold", "user": "hold__account__user"}
    search_fields = ("hold__id__exact",)
    search_help_text = "An id such as req_… or usr_…"
    _facts = (
        link("hold"),
        "state",
        link("hold.account.user", "user"),
        money("hold.amount", "was held"),
        money("hold.captured", "charged"),
        moment("deadline"),
        moment("closed_at"),
        "closed_by",
    )
    readonly_fields = _facts
    fields = (*_facts, "charge", "note")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_open = obj is None or obj.state == ReconciliationItem.State.OPEN
        return is_open and super().has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if self.has_change_permission(request, obj) else (*self._facts, "note")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Close the item through its service; Django logs who did it."""
        actor, note = request.user.get_username(), form.cleaned_data["note"]
        item = ReconciliationItem.objects.select_related("hold").get(pk=obj.pk)
        try:
            if amount := form.cleaned_data["charge"]:
                reconciliation.charge_lost(item, amount, actor=actor, note=note)
            else:
                reconciliation.leave_released(item, actor=actor, note=note)
        except Refusal as refusal:
            self.message_user(request, f"Nothing was charged: {refusal}.", messages.ERROR)


def _log(request: HttpRequest, row: Any, what: str) -> None:
    assert request.user.pk is not None
    LogEntry.objects.log_actions(request.user.pk, [row], CHANGE, what, single_object=True)
