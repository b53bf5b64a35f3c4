"""The operators' site: base class, columns, filters, form fields. Only this package touches django-unfold."""

from unfold.decorators import action, display

from config.admin import operators  # noqa: F401  (registers users and groups)
from config.admin.base import INSTALLATION, OperatorAdmin, ReadOnlyAdmin, RelatedRows, SettingsAdmin

__all__ = [
    "INSTALLATION",
    "OperatorAdmin",
    "ReadOnlyAdmin",
    "RelatedRows",
    "SettingsAdmin",
    "action",
    "display",
]
