"""Filters of the lists."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import localdate, make_aware
from unfold.contrib.filters.admin import AutocompleteSelectFilter as UnfoldAutocompleteSelectFilter
from unfold.contrib.filters.admin import (
    ChoicesRadioFilter,
    RadioFilter,
    RangeDateFilter,
)
from unfold.utils import parse_date_str

__all__ = ["AutocompleteSelectFilter", "ChoicesRadioFilter", "MadeBetween", "Period", "RadioFilter"]


@dataclass(frozen=True, slots=True)
class Period:
    """A link to a stretch of days; `step` is where it leads from the chosen one: "earlier", "later" or ""."""

    title: str
    address: str
    is_chosen: bool = False
    step: str = ""


class AutocompleteSelectFilter(UnfoldAutocompleteSelectFilter):
    """Rows of one that is chosen by typing; a chosen one that the operator may not see isn't named."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            field = choice["form"].fields[self.lookup_kwarg]
            field.queryset = self.model_admin.visible(self.request, self.field.remote_field.model)
            yield choice


class MadeBetween(RangeDateFilter):
    """Rows made from one day to another, by their keys.

    A UUIDv7 begins with the milliseconds of its making, so the primary key's index answers at any size, in
    the order of the list. `created_at` has no index; a date hierarchy would read the table to draw itself.
    """

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the chosen days, both included; a day that can't be read limits nothing."""
        if first := self._day("from"):
            queryset = queryset.filter(pk__gte=_first_key(first))
        if last := self._day("to"):
            queryset = queryset.filter(pk__lt=_first_key(last + timedelta(days=1)))
        return queryset

    def periods(self, changelist: Any) -> list[Period]:
        """All days, today, 7 and 30 days; and beside a chosen stretch the ones before and after.

        Asks the database nothing.
        """
        today, first, last = localdate(), self._day("from"), self._day("to")
        found = [self._period(changelist, "All", None, None, not first and not last)]
        for title, days in (("Today", 1), ("7 days", 7), ("30 days", 30)):
            start = today - timedelta(days=days - 1)
            found.append(self._period(changelist, title, start, today, (first, last) == (start, today)))
        if first and last and first <= last:
            length = last - first + timedelta(days=1)
            if first.toordinal() > length.days:
                found.append(self._step(changelist, first - length, last - length, "earlier"))
            if last < today:
                found.append(self._step(changelist, first + length, last + length, "later"))
        return found

    def _step(self, changelist: Any, first: date, last: date, step: str) -> Period:
        title = f"{first}" if first == last else f"{first} to {last}"
        return self._period(changelist, title, first, last, False, step)

    def _period(
        self, changelist: Any, title: str, first: date | None, last: date | None, chosen: bool, step: str = ""
    ) -> Period:
        name = self.parameter_name
        ends = {f"{name}_from": first and first.isoformat(), f"{name}_to": last and last.isoformat()}
        return Period(title, changelist.get_query_string(ends, ["p"]), chosen, step)

    def _day(self, end: str) -> date | None:
        return parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{end}", ""))


def _first_key(day: date) -> uuid.UUID:
    """No key that was made on the day or later is below this one (RFC 9562, 5.7)."""
    milliseconds = int(make_aware(datetime.combine(day, time.min)).timestamp() * 1_000)
    return uuid.UUID(int=max(milliseconds, 0) << 80)
