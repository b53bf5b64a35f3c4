"""What Stripe told, and what came of it."""

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from config.admin import ReadOnlyAdmin, action
from config.admin.columns import badge, moment
from config.admin.filters import ChoicesRadioFilter, MadeBetween
from ledger.models import StripeEvent
from ledger.payments import incoming


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    tenant_path = "account__paywall__tenant"
    list_display = (
        "type",
        badge("state", waiting="info", processed="success", ignored="info", failed="danger"),
        "event_id",
        "attempts",
        "error",
        moment("created_at"),
    )
    list_filter = (("state", ChoicesRadioFilter), ("created_at", MadeBetween))
    search_fields = ("event_id__exact",)
    search_help_text = "A whole id such as evt_…"
    fields = (
        "event_id",
        "type",
        "state",
        "attempts",
        "error",
        moment("created_at"),
        moment("next_attempt_at"),
        moment("processed_at"),
        "payload",
    )
    actions = ("retry",)

    @action(description="Retry", permissions=["money"])
    def retry(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> None:
        for event in queryset:
            with transaction.atomic():
                if incoming.retry(event):
                    self.log_change(request, event, "Retried.")
        self.message_user(request, "They are processed again.", messages.SUCCESS)
