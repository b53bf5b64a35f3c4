"""The base of every page of the operators' site: what is used of django-unfold, at one place."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.admin import ShowFacets
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from config import ids
from config.admin.paging import BoundedChangeList, BoundedPaginator
from config.admin.tenancy import INSTALLATION, TenantPages
from paywalls.models import Paywall
from paywalls.operators import Access
from paywalls.roles import Can

__all__ = ["INSTALLATION", "OperatorAdmin", "ReadOnlyAdmin", "RelatedRows", "SettingsAdmin"]


class OperatorAdmin(TenantPages, ModelAdmin):
    """Lists newest first, big tables uncounted; search finds a row by any public id that leads to it."""

    ordering: Sequence[str] = ("-id",)
    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    warn_unsaved_form = True
    # Facets count the rows behind each choice of a filter.
    show_facets = ShowFacets.NEVER
    # Links to today, to weeks and months, where the list has a filter by date.
    list_before_template = "admin/periods.html"

    # Which lookup a public id of each kind (a key of config.ids.PREFIXES) is searched by.
    id_lookups: Mapping[str, str] = {}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[BoundedChangeList]:
        return BoundedChangeList

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address presets, without keys that are none or lead to what one may not see."""
        initial = super().get_changeform_initial_data(request)
        return {name: value for name, value in initial.items() if self._may_preset(request, name, value)}

    def _may_preset(self, request: HttpRequest, name: str, value: Any) -> bool:
        field = next((field for field in self.opts.fields if field.name == name), None)
        if not isinstance(field, ForeignKey):
            return True
        try:
            key = field.target_field.to_python(value)
        except ValidationError:
            return False
        return self.visible(request, field.related_model).filter(pk=key).exists()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows found by a public id such as `pw_018f…`, else by `search_words`."""
        term = search_term.strip()
        for kind, lookup in self.id_lookups.items():
            if key := _key(kind, term):
                return queryset.filter(**{lookup: key}), False
        return self.search_words(request, queryset, term)

    def search_words(
        self, request: HttpRequest, queryset: QuerySet[Any], term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows found by `search_fields`, and whether they may repeat."""
        return super().get_search_results(request, queryset, term)


class SettingsAdmin(OperatorAdmin):
    """A page whose writes are services: `create` and `update` get the valid form."""

    def create(self, form: Any) -> Model:
        """Make the row."""
        raise NotImplementedError

    def update(self, row: Any, form: Any) -> None:
        """Change the row, which is as the database has it."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:
        """Write through the service; Django logs who did it."""
        if change:
            self.update(self.model._default_manager.get(pk=obj.pk), form)
        else:
            obj.pk = self.create(form).pk
            obj._state.adding = False


class ReadOnlyMixin:
    """Nothing can be added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnlyMixin, OperatorAdmin):
    """Rows that only the product itself writes. They are many: sorting by a column would read them all."""

    actions: Any = None
    sortable_by: Sequence[str] = ()

    def _within_reach(self, access: Access, rows: QuerySet[Any], *needed: Can | None) -> QuerySet[Any]:
        """Of paywalls that are named: so PostgreSQL knows whether theirs are most of the rows or hardly any."""
        if access.everything or None in needed or self.tenant_path != "paywall__tenant":
            return super()._within_reach(access, rows, *needed)
        tenants = access.tenants(*(can for can in needed if can))
        return rows.filter(
            paywall__in=list(Paywall.objects.filter(tenant__in=tenants).values_list("pk", flat=True))
        )


class RelatedRows(ReadOnlyMixin, TabularInline):
    """What belongs to a row, listed on its page; each entry is edited on a page of its own.

    Who sees the row sees what belongs to it.
    """

    extra = 0
    ordering = ("-id",)
    per_page = 50
    tab = True
    hide_title = True
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


def _key(kind: str, public_id: str) -> uuid.UUID | None:
    try:
        return ids.parse(kind, public_id)
    except ValueError:
        return None
