"""Lists of big tables: pages without counting them whole."""

from typing import Any

from django.contrib.admin.views.main import ORDER_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from config.admin.filters import MadeBetween, Period

# Rows that a list counts, and pages through, at the most. Who looks for older ones filters.
CEILING = 1_000


class BoundedPaginator(Paginator):
    """Counts no further than CEILING: COUNT(*) reads the whole table."""

    template_name = "admin/bounded_pagination.html"

    @cached_property
    def count(self) -> int:
        """How many rows there are, CEILING at the most."""
        assert isinstance(self.object_list, QuerySet)
        return self.object_list.order_by()[:CEILING].count()

    @property
    def is_cut(self) -> bool:
        """Whether there may be more rows than the list pages through."""
        return self.count >= CEILING


class BoundedChangeList(ChangeList):
    """A list that leads from one stretch of days to the next, and offers no "show all" where nothing is left out."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page; without a search or filter their count is the full one."""
        super().get_results(request)
        if not self.get_filters_params() and not self.query:
            self.full_result_count = self.result_count

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        """The list's own order, where it offers no other: an address must not make it read the whole table."""
        if not self.sortable_by:
            self.params.pop(ORDER_VAR, None)
        ordering: list[str] = super().get_ordering(request, queryset)
        return ordering

    @property
    def periods(self) -> list[Period]:
        """Stretches of days to look at, for a list that has a filter by date."""
        chosen = next((spec for spec in self.filter_specs if isinstance(spec, MadeBetween)), None)
        return chosen.periods(self) if chosen else []
