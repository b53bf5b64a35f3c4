"""Requests to models: what became of each, and what it cost. Never what was said."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from config import ids
from config.admin import ReadOnlyAdmin
from config.admin.columns import anchor, badge, full_id, link, list_of, moment, money, page_of, public_id
from config.admin.exporting import ExportedRows, dollars
from config.admin.filters import AutocompleteSelectFilter, ChoicesRadioFilter, MadeBetween
from ledger.models import Hold, ProxyRequest, Transfer
from paywalls.models import EndUser, Paywall
from webhooks.models import Delivery, Event


@admin.register(ProxyRequest)
class ProxyRequestAdmin(ExportedRows, ReadOnlyAdmin):
    """Ordered by the time of the request, for which each filter has an index."""

    tenant_path = "paywall__tenant"
    ordering = ("-created_at",)
    export_columns = {
        "request_id": lambda row: row.public_id,
        "created_at": lambda row: row.created_at,
        "status": lambda row: row.status,
        "reason": lambda row: row.reason,
        "paywall": lambda row: row.paywall.name,
        "user": lambda row: row.external_id,
        "model": lambda row: row.model,
        "provider": lambda row: row.provider,
        "input_tokens": lambda row: row.input_tokens,
        "cache_read_tokens": lambda row: row.cache_read_tokens,
        "cache_write_tokens": lambda row: row.cache_write_tokens,
        "output_tokens": lambda row: row.output_tokens,
        "charge": dollars(lambda row: row.charge),
        "cost": dollars(lambda row: row.cost),
        "http_status": lambda row: row.http_status,
        "first_byte_ms": lambda row: row.first_byte_ms,
        "total_ms": lambda row: row.total_ms,
    }
    list_display = (
        public_id(),
        moment("created_at"),
        badge(
            "status",
            started="info",
            completed="success",
            failed="danger",
            canceled="warning",
            blocked="warning",
            lost="danger",
        ),
        "reason",
        link("paywall"),
        "external_id",
        "model",
        money("charge"),
        "total_ms",
    )
    list_filter = (
        ("status", ChoicesRadioFilter),
        ("paywall", AutocompleteSelectFilter),
        ("created_at", MadeBetween),
    )
    list_select_related = ("paywall",)
    search_fields = ("external_id__exact",)
    search_help_text = "The whole id of an end user, or an id such as req_… or pw_…"
    id_lookups = {"request": "pk", "paywall": "paywall"}
    fieldsets = (
        (
            None,
            {
                "fields": (
                    full_id(),
                    moment("created_at"),
                    "status",
                    "reason",
                    link("paywall"),
                    "user_page",
                    "transfers",
                    "hold",
                    "events",
                )
            },
        ),
        (
            "Route",
            {
                "fields": (
                    "model",
                    "provider",
                    "upstream_model",
                    "surface",
                    "streamed",
                    "attempts",
                    "http_status",
                    "upstream_request_id",
                    "first_byte_ms",
                    "total_ms",
                )
            },
        ),
        (
            "Use",
            {
                "fields": (
                    "input_tokens",
                    "cache_read_tokens",
                    "cache_write_tokens",
                    "output_tokens",
                    "reasoning_tokens",
                    "images",
                    "estimated",
                    money("charge"),
                    money("cost"),
                )
            },
        ),
    )

    @admin.display(description="user")
    def user_page(self, request: ProxyRequest) -> str:
        """The end user, where one was made by then."""
        user = EndUser.objects.filter(paywall_id=request.paywall_id, external_id=request.external_id).first()
        return (
            anchor(list_of(EndUser, q=user.public_id), request.external_id) if user else request.external_id
        )

    @admin.display(description="hold")
    def hold(self, request: ProxyRequest) -> str | None:
        """What was reserved for it."""
        hold = Hold.objects.filter(pk=request.pk).first()
        return anchor(page_of(hold), str(hold)) if hold else None

    @admin.display(description="transfers")
    def transfers(self, request: ProxyRequest) -> str:
        """What was charged for it."""
        name = ids.public("request", request.pk)
        return anchor(list_of(Transfer, q=name), "Transfers of this request")

    @admin.display(description="events")
    def events(self, request: ProxyRequest) -> str:
        """What was told about it, and to whom."""
        return told_about(request.pk)

    def search_words(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By paywall, because the index of users begins with it."""
        if not term:
            return queryset, False
        paywalls = list(self.visible(request, Paywall).values_list("pk", flat=True))
        return queryset.filter(paywall__in=paywalls, external_id=term), False


def told_about(request_id: uuid.UUID) -> str:
    """Links to the events about a request, and to their deliveries."""
    name = ids.public("request", request_id)
    return format_html(
        "{} · {}",
        anchor(list_of(Event, q=name), "Events of this request"),
        anchor(list_of(Delivery, q=name), "Deliveries"),
    )
