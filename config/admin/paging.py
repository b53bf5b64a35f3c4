"""Lists of big tables: pages without counting them whole."""

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

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
    """A list that doesn't offer to "show all" where nothing is left out."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page; without a search or filter their count is the full one."""
        super().get_results(request)
        if not self.get_filters_params() and not self.query:
            self.full_result_count = self.result_count
