"""Columns and read-only fields.

Each function answers the same column for the same arguments, so that it can be named in `list_display`,
`readonly_fields` and `fieldsets` alike.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import localtime
from unfold.decorators import display

from config.money import formatted

Column = Callable[[Any], Any]


def code(text: str, title: str = "") -> str:
    """A text in the typeface of ids; the title shows on hover."""
    return format_html('<span class="code" title="{}">{}</span>', title, text)


def money_html(nano: int, *, tone: str = "") -> str:
    """Nano-dollars as "$1,234.50"; what is below zero stands out. `tone` is a class of the style sheet."""
    tone = "below-zero" if nano < 0 and not tone else tone
    return format_html('<span class="money {}">{}</span>', tone, formatted(nano))


@cache
def money(field: str, title: str = "") -> Column:
    """The nano-dollars of a field, or of a path such as `wallet.posted`, as money; an absent one: a dash."""

    @admin.display(description=title or _words(field), empty_value="—", ordering=_ordering(field))
    def column(row: Any) -> str | None:
        nano = _follow(row, field)
        return None if nano is None else money_html(nano)

    column.__name__ = f"{field.replace('.', '_')}_money"
    return column


@cache
def public_id(title: str = "id") -> Column:
    """The public id, short enough for a list: its prefix and last digits, whole on hover."""

    @admin.display(description=title, ordering="id")
    def short_id(row: Any) -> str:
        prefix, digits = row.public_id.split("_")
        return code(f"{prefix}_…{digits[-8:]}", row.public_id)

    return short_id


@cache
def full_id() -> Column:
    """The whole public id, for a page of one row."""

    @admin.display(description="id")
    def whole_id(row: Any) -> str:
        return code(row.public_id)

    return whole_id


@cache
def text(field: str, title: str) -> Column:
    """A field under another title."""

    @admin.display(description=title, ordering=_ordering(field))
    def column(row: Any) -> Any:
        return _follow(row, field)

    column.__name__ = f"{field.replace('.', '_')}_text"
    return column


@cache
def moment(field: str, title: str = "") -> Column:
    """A time to the second, in the installation's time zone."""

    @admin.display(description=title or _words(field), empty_value="—", ordering=_ordering(field))
    def column(row: Any) -> str | None:
        value: datetime | None = _follow(row, field)
        if value is None:
            return None
        local = localtime(value)
        return format_html('<time datetime="{}">{}</time>', local.isoformat(), f"{local:%Y-%m-%d %H:%M:%S}")

    column.__name__ = f"{field.replace('.', '_')}_moment"
    return column


@cache
def link(field: str, title: str = "") -> Column:
    """The row that a foreign key (or a path such as `wallet.user`) leads to, linked to its page."""

    @admin.display(description=title or _words(field), empty_value="—", ordering=_ordering(field))
    def column(row: Any) -> str | None:
        other: Model | None = _follow(row, field)
        return None if other is None else anchor(page_of(other), str(other))

    column.__name__ = f"{field.replace('.', '_')}_link"
    return column


@cache
def itself(title: str) -> Column:
    """The row's own name, linked to its page (for rows that are listed on another's)."""

    @admin.display(description=title)
    def own_page(row: Model) -> str:
        return anchor(page_of(row), str(row))

    return own_page


@cache
def badge(field: str, title: str = "", **tones: str) -> Column:
    """A choice as a colored label: `badge("state", open="info", captured="success")`."""

    @display(description=title or _words(field), ordering=_ordering(field), label=tones)
    def column(row: Any) -> tuple[str, str]:
        value = _follow(row, field)
        label = getattr(row, f"get_{field}_display", None)
        return value, label() if label else value

    column.__name__ = f"{field}_badge"
    return column


def page_of(row: Model) -> str:
    """The address of the row's own page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_of(model: type[Model], **lookups: Any) -> str:
    """The address of a model's list, filtered."""
    query = {lookup: str(value) for lookup, value in lookups.items()}
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", query=query)


def anchor(address: str, text: str) -> str:
    """A link."""
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, text)


def _follow(row: Any, path: str) -> Any:
    for step in path.split("."):
        row = getattr(row, step, None)
    return row


def _ordering(path: str) -> str:
    return path.replace(".", "__")


def _words(path: str) -> str:
    return path.split(".")[-1].removesuffix("_at").replace("_", " ")
