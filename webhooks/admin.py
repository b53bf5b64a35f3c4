"""Subscriptions, events and deliveries on the operators' site."""

from typing import Any

import orjson
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import action

from config import ids
from config.admin import ReadOnlyAdmin, display
from config.admin.columns import anchor, badge, code, full_id, link, list_of, moment, page_of, public_id
from config.admin.exporting import ExportedRows
from config.admin.filters import AutocompleteSelectFilter, ChoicesRadioFilter, MadeBetween, RadioFilter
from config.errors import ApiError
from ledger.models import ProxyRequest, Transfer
from paywalls.roles import Can
from webhooks import catalogue, deactivation, services
from webhooks.models import Delivery, Event, Subscription

_MADE = ("created_at", MadeBetween)


class HealthFilter(RadioFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "Active"), ("failing", "Failing"), ("inactive", "Inactive")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        match self.value():
            case "active":
                return queryset.filter(is_active=True)
            case "failing":
                return queryset.filter(is_active=True, failing_since__isnull=False)
            case "inactive":
                return queryset.filter(is_active=False)
        return queryset


class EventTypeFilter(RadioFilter):
    title = "event"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, key.removeprefix("paywall.")) for key in catalogue.ALL]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        lookup = "type" if queryset.model is Event else "event__type"
        return queryset.filter(**{lookup: self.value()}) if self.value() in catalogue.ALL else queryset


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    tenant_path = "paywall__tenant"
    needs = Can.WEBHOOKS
    list_display = (
        "url",
        link("paywall"),
        "wants",
        "state",
        "consecutive_failures",
        moment("last_delivered_at"),
        moment("created_at"),
    )
    list_filter = (HealthFilter, ("paywall", AutocompleteSelectFilter), _MADE)
    list_select_related = ("paywall",)
    search_fields = ("url", "description")
    search_help_text = "A part of the address, or an id such as sub_… or pw_…"
    id_lookups = {"subscription": "pk", "paywall": "paywall"}
    actions = ("activate", "deactivate", "ping")
    fields = (
        "url",
        full_id(),
        link("paywall"),
        "description",
        "wants",
        "state",
        "secret_ending",
        "disabled_reason",
        "consecutive_failures",
        "failed_deliveries",
        moment("failing_since"),
        moment("open_until"),
        moment("last_delivered_at"),
        "deliveries_link",
        moment("created_at"),
        moment("updated_at"),
    )

    @admin.display(description="events")
    def wants(self, row: Subscription) -> str:
        return ", ".join(row.events)

    @display(
        description="state",
        ordering="is_active",
        label={"active": "success", "failing": "warning", "paused": "warning", "inactive": "danger"},
    )
    def state(self, row: Subscription) -> str:
        if not row.is_active:
            return "inactive"
        if row.open_until and row.open_until > timezone.now():
            return "paused"
        return "failing" if row.failing_since else "active"

    @admin.display(description="secret")
    def secret_ending(self, row: Subscription) -> str:
        return code(f"…{row.secret_suffix}")

    @admin.display(description="deliveries")
    def deliveries_link(self, row: Subscription) -> str:
        return anchor(list_of(Delivery, q=row.public_id), "Deliveries of this subscription")

    @admin.action(description="Activate", permissions=["webhooks"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        for row in queryset:
            services.update(row, {"isActive": True})
            self.log_change(request, row, "Activated.")
        self.message_user(request, f"Activated {len(queryset)}.", messages.SUCCESS)

    @admin.action(description="Deactivate", permissions=["webhooks"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        for row in queryset:
            deactivation.by_operator(row)
            self.log_change(request, row, "Deactivated.")
        self.message_user(request, f"Deactivated {len(queryset)}.", messages.SUCCESS)

    @admin.action(description="Send a test event now", permissions=["webhooks"])
    def ping(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        for row in queryset[:5]:
            delivery, result = services.test(row)
            told = f"{row.url}: {result.status or result.error} in {result.milliseconds} ms"
            self.message_user(request, told, messages.SUCCESS if result.succeeded else messages.ERROR)
            self.log_change(request, row, f"Sent the test {delivery.public_id}.")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    tenant_path = "paywall__tenant"
    list_display = ("type", public_id(), link("paywall"), moment("created_at"))
    list_filter = (EventTypeFilter, ("paywall", AutocompleteSelectFilter), _MADE)
    list_select_related = ("paywall",)
    search_fields = ("type__exact",)
    search_help_text = "An event's type, or an id such as evt_…, req_… or pw_…"
    id_lookups = {"event": "pk", "request": "request_id", "paywall": "paywall"}
    fields = (
        "type",
        full_id(),
        link("paywall"),
        "about",
        "version",
        moment("created_at"),
        "content",
        "deliveries_link",
    )

    @admin.display(description="about")
    def about(self, row: Event) -> str | None:
        return _request_of(row)

    @admin.display(description="content")
    def content(self, row: Event) -> str:
        return _indented(row)

    @admin.display(description="deliveries")
    def deliveries_link(self, row: Event) -> str:
        return anchor(list_of(Delivery, q=row.public_id), "Deliveries of this event")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("paywall")


@admin.register(Delivery)
class DeliveryAdmin(ExportedRows, ReadOnlyAdmin):
    export_columns = {
        "delivery_id": lambda row: row.public_id,
        "created_at": lambda row: row.created_at,
        "event_id": lambda row: row.event.public_id,
        "event": lambda row: row.event.type,
        "url": lambda row: row.subscription.url,
        "state": lambda row: row.state,
        "attempts": lambda row: row.attempts,
        "response_status": lambda row: row.response_status,
        "response_ms": lambda row: row.response_ms,
        "error": lambda row: row.error,
    }
    tenant_path = "subscription__paywall__tenant"
    list_display = (
        public_id(),
        "event_type",
        link("subscription"),
        badge(
            "state",
            pending="info",
            in_flight="info",
            retrying="warning",
            succeeded="success",
            refused="danger",
            exhausted="danger",
        ),
        "attempts",
        "response_status",
        "response_ms",
        moment("next_attempt_at"),
        moment("created_at"),
    )
    list_filter = (("state", ChoicesRadioFilter), EventTypeFilter, _MADE)
    list_select_related = ("event", "subscription")
    search_fields = ("subscription__url__exact",)
    search_help_text = "An endpoint's whole address, or an id such as del_…, evt_…, req_… or sub_…"
    id_lookups = {
        "delivery": "pk",
        "event": "event",
        "request": "event__request_id",
        "subscription": "subscription",
    }
    actions = ("retry",)
    actions_detail = ("send_again",)
    fields = (
        full_id(),
        link("event"),
        "about",
        link("subscription"),
        "state",
        "attempts",
        "response_status",
        "response_ms",
        "error",
        "sent",
        "response_body",
        moment("last_attempt_at"),
        moment("next_attempt_at"),
        moment("created_at"),
    )

    @admin.display(description="about")
    def about(self, row: Delivery) -> str | None:
        return _request_of(row.event)

    @admin.display(description="request body")
    def sent(self, row: Delivery) -> str:
        return _indented(row.event)

    @admin.display(description="event", ordering="event__type")
    def event_type(self, row: Delivery) -> str:
        return row.event.type

    @action(description="Send again", icon="replay", permissions=["webhooks"])
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        delivery = get_object_or_404(self.get_queryset(request).select_related("subscription"), pk=object_id)
        back = page_of(delivery)
        if request.method != "POST":
            question = {
                "title": "Send this delivery again?",
                "consequence": f"{delivery.subscription.url} gets the same event once more.",
                "button": "Send again",
                "back": back,
            }
            context = {**self.admin_site.each_context(request), "opts": self.opts, **question}
            return TemplateResponse(request, "admin/paywalls/confirm.html", context)
        self.retry(request, self.get_queryset(request).filter(pk=delivery.pk))
        return redirect(back)

    @admin.action(description="Send again", permissions=["webhooks"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        sent = 0
        for row in queryset.select_related("subscription"):
            try:
                services.retry(row)
            except ApiError as refusal:
                self.message_user(request, f"{row}: {refusal.message}", messages.WARNING)
                continue
            self.log_change(request, row, "Sent again.")
            sent += 1
        self.message_user(request, f"{sent} will be sent again.", messages.SUCCESS)


def _indented(event: Event) -> str:
    """The event as it is in the body, indented for reading."""
    return code(orjson.dumps(event.content, option=orjson.OPT_INDENT_2).decode())


def _request_of(event: Event) -> str | None:
    """The request that the event is about, and what was charged for it."""
    if event.request_id is None:
        return None
    name = ids.public("request", event.request_id)
    asked = ProxyRequest.objects.filter(pk=event.request_id).first()
    request = anchor(page_of(asked), name) if asked else code(name)
    return format_html("{} · {}", request, anchor(list_of(Transfer, q=name), "its transfers"))
