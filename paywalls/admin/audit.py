"""The audit log, to be read and exported."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.html import format_html

from config.admin import ReadOnlyAdmin, action
from config.admin.columns import link, moment
from config.admin.filters import AutocompleteSelectFilter, ChoicesRadioFilter
from paywalls.models import AuditEntry
from paywalls.roles import Can

_COLUMNS = (
    "created_at",
    "tenant_id",
    "actor_type",
    "actor",
    "address",
    "request_id",
    "action",
    "subject_type",
    "subject",
    "before",
    "after",
)


class _Echo:
    def write(self, line: str) -> str:
        return line


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Written by the database, and changed by nobody."""

    tenant_path = "tenant"
    looks = Can.AUDIT
    list_display = (
        moment("created_at", "when"),
        "actor",
        "actor_type",
        "action",
        "subject_type",
        "subject",
        "address",
        link("tenant"),
    )
    list_filter = (
        ("action", ChoicesRadioFilter),
        ("actor_type", ChoicesRadioFilter),
        ("tenant", AutocompleteSelectFilter),
    )
    list_select_related = ("tenant",)
    search_fields = ("subject__exact", "actor__exact", "address__exact")
    search_help_text = "The whole key of a row, a user name, or an address"
    fields = (
        moment("created_at", "when"),
        "actor",
        "actor_type",
        "address",
        "request_id",
        link("tenant"),
        "action",
        "subject_type",
        "subject",
        "was",
        "became",
    )
    actions_list = ("export",)

    @admin.display(description="before")
    def was(self, entry: AuditEntry) -> str:
        return _shown(entry.before)

    @admin.display(description="after")
    def became(self, entry: AuditEntry) -> str:
        return _shown(entry.after)

    @action(description="Export as CSV", icon="download", permissions=["audit"])
    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Every entry that the operator may see, oldest first, as it is read from the database."""
        rows = self.get_queryset(request).order_by("pk").values_list(*_COLUMNS)
        response = StreamingHttpResponse(_lines(rows.iterator()), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="audit-log.csv"'
        return response


def _lines(rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(_COLUMNS)
    for *facts, before, after in rows:
        yield writer.writerow([*map(_cell, facts), json.dumps(before), json.dumps(after)])


def _cell(value: Any) -> str:
    """A text that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _shown(values: Any) -> str:
    if not values:
        return "—"
    return format_html("<pre>{}</pre>", json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True))
