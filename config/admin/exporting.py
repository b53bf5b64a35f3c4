"""Lists as CSV: the rows that are filtered, sent as they are read, in memory that doesn't grow with them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path

from config import money
from config.db import from_threads
from config.spreadsheet import csv_line, harmless

# Rows read at a time, and written in one chunk.
PAGE = 1_000

Columns = Mapping[str, Callable[[Any], Any]]


class ExportedRows:
    """A list with a link to the CSV of what it shows; `export_columns` say what a row writes, by the columns' names."""

    export_columns: Columns = {}
    change_list_template = "admin/exported_list.html"

    def get_urls(self) -> list[URLPattern]:
        """The list's own addresses, and its file's."""
        opts = self.opts  # type: ignore[attr-defined]
        name = f"{opts.app_label}_{opts.model_name}_export_list"
        view = self.admin_site.admin_view(self.export_list)  # type: ignore[attr-defined]
        return [path("csv/", view, name=name), *super().get_urls()]  # type: ignore[misc]

    def export_list(self, request: HttpRequest) -> HttpResponseBase:
        """Every row that the list's filters and search find, oldest first."""
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        try:
            found = self.get_changelist_instance(request).get_queryset(request)  # type: ignore[attr-defined]
        except IncorrectLookupParameters:
            return HttpResponseRedirect("..")
        opts = self.opts  # type: ignore[attr-defined]
        name = str(opts.verbose_name_plural).replace(" ", "-")
        return StreamingHttpResponse(
            from_threads(chunks(found, self.export_columns)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )


def chunks(rows: QuerySet[Any], columns: Columns) -> Iterator[bytes]:
    """The file, a page of rows at a time, by key: no transaction stays open while somebody reads slowly."""
    yield csv_line(columns)
    rows = rows.order_by("pk")
    last: Model | None = None
    while True:
        page = list((rows if last is None else rows.filter(pk__gt=last.pk))[:PAGE])
        if page:
            yield b"".join(csv_line(_cell(read(row)) for read in columns.values()) for row in page)
            last = page[-1]
        if len(page) < PAGE:
            return


def dollars(read: Callable[[Any], int | None]) -> Callable[[Any], Decimal | None]:
    """A column of the exact dollars of what is read in nano-dollars; None stays empty."""

    def exact(row: Any) -> Decimal | None:
        nano = read(row)
        return None if nano is None else Decimal(money.plain(nano))

    return exact


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return harmless(value) if isinstance(value, str) else value
