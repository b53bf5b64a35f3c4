"""Whose rows an operator sees, and what they may do with them: the one mechanism for every page of the site.

Each page says `tenant_path`, the lookup from its model to the tenant, or INSTALLATION where only superusers come; and
`needs`, the permission (`paywalls.roles.Can`) for adding, changing and deleting. From these follow its lists, choices,
presets, actions and addresses. A page that says neither fails the system check tollgate.E040.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.core.checks import CheckMessage, Error
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern

from paywalls.operators import Access, access_of
from paywalls.roles import Can

# A `tenant_path`: the rows are the installation's own, and superusers' only.
INSTALLATION = "installation"


# Unfold is untyped; its pages are, too.
_Page: Any = BaseModelAdmin


class TenantPages(_Page):
    """Limits a page to the tenants of whoever asks."""

    # The lookup from a row to its tenant, such as "paywall__tenant"; "pk" for tenants themselves.
    tenant_path: str = ""
    # What one must be allowed for adding, changing and deleting; None: only superusers do.
    needs: Can | None = None
    # What one must be allowed for looking.
    looks: Can = Can.LOOK

    # --- Rows ------------------------------------------------------------------------------------------------

    def limited(self, request: HttpRequest, rows: QuerySet[Any], *needed: Can | None) -> QuerySet[Any]:
        """The rows of the tenants in which the operator may do all that is needed (None: superusers only)."""
        return self._within_reach(access_of(request.user), rows, *needed)

    def _within_reach(self, access: Access, rows: QuerySet[Any], *needed: Can | None) -> QuerySet[Any]:
        if access.everything:
            return rows
        if self.tenant_path == INSTALLATION or None in needed:
            return rows.none()
        tenants = access.tenants(*(can for can in needed if can))
        return rows.filter(**{f"{self.tenant_path}__in": tenants}) if tenants else rows.none()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that the operator may see."""
        return self.limited(request, super().get_queryset(request), self.looks)

    def visible(self, request: HttpRequest, model: type[Model] | Any, *needed: Can | None) -> QuerySet[Any]:
        """The rows of another model that the operator may see (and do with what is needed).

        None of a model without pages, unless the operator is a superuser.
        """
        page = admin.site._registry.get(model)
        if isinstance(page, TenantPages):
            return page.limited(request, page.get_queryset(request), *needed)
        rows = model._default_manager.all()
        return rows if access_of(request.user).everything else rows.none()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A row may only be given to what the operator may change."""
        field = super().formfield_for_foreignkey(db_field, request, **options)
        if field is not None and not access_of(request.user).everything:
            mine = self.visible(request, db_field.related_model, self.needs)
            field.queryset = field.queryset.filter(pk__in=mine.values("pk"))
        return field

    # --- Permissions -----------------------------------------------------------------------------------------

    def may(self, request: HttpRequest, *needed: Can | None, row: Any = None) -> bool:
        """Whether the operator may do it all: to a row (or the row of a key), or to any."""
        return self.allows(access_of(request.user), *needed, row=row)

    def allows(self, access: Access, *needed: Can | None, row: Any = None) -> bool:
        """The same of somebody's access."""
        if access.everything:
            return True
        if self.tenant_path == INSTALLATION or None in needed:
            return False
        if row is None:
            return access.may(*(can for can in needed if can))
        key = row.pk if isinstance(row, Model) else row
        try:
            rows = self.model._default_manager.filter(pk=key)
            return self._within_reach(access, rows, self.looks, *needed).exists()
        except (ValidationError, ValueError):
            return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.looks, row=obj)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return self.may(request, self.needs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.needs, row=obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, self.needs, row=obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    # --- Actions and addresses -------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Actions that get only the rows for which the operator has their permissions."""
        actions = super().get_actions(request)
        return {name: (self._within(do), name, words) for name, (do, _, words) in actions.items()}

    def _within(self, do: Any) -> Any:
        @wraps(do)
        def limited(page: Any, request: HttpRequest, chosen: QuerySet[Any]) -> Any:
            return do(page, request, self.limited(request, chosen, *self._needed(do)))

        return limited

    def _get_list_editable_queryset(self, request: HttpRequest, prefix: str) -> QuerySet[Any]:
        """What is edited in the list itself."""
        rows = super()._get_list_editable_queryset(request, prefix)
        return self.limited(request, rows, self.needs)

    @property
    def urls(self) -> list[URLPattern]:
        """Each address that names a row answers only who may see it, and do what the address does."""
        patterns: list[URLPattern] = self.get_urls()
        for pattern in patterns:
            pattern.callback = self._guarded(pattern.callback, self._needed_at(pattern))
        return patterns

    def _guarded(self, view: Callable[..., HttpResponseBase], needed: list[Can | None]) -> Any:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.admin_site.has_permission(request):
                return self.admin_site.admin_view(view)(request, *args, **kwargs)
            # Django's own pages need nothing here: they ask for the rows and permissions above.
            if needed:
                row = kwargs.get("object_id")
                if row is not None and not self.may(request, self.looks, row=row):
                    raise Http404
                if not self.may(request, *needed, row=row):
                    raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    def _needed_at(self, pattern: URLPattern) -> list[Can | None]:
        """What the page's own addresses need: the permissions of their action, or to look at all."""
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        name = (pattern.name or "").removeprefix(prefix)
        return [] if name in _OF_DJANGO else self._needed(getattr(self, name, None)) or [self.looks]

    def _needed(self, action: Any) -> list[Can | None]:
        names: Iterable[str] = getattr(action, "allowed_permissions", None) or ()
        return [self.permission(name) for name in names]

    def permission(self, name: str) -> Can | None:
        """What an action's permission, or a verb of Django's, needs here."""
        if name == "view":
            return self.looks
        if name in {"add", "change", "delete"}:
            return self.needs
        return Can(name) if name in Can.values else None

    # --- The check -------------------------------------------------------------------------------------------

    def check(self, **options: Any) -> list[CheckMessage]:
        """Django's checks of the page, and that it says whose rows it shows."""
        return [*super().check(**options), *self._check_path(), *self._check_actions()]

    def _check_path(self) -> list[CheckMessage]:
        if self.tenant_path == INSTALLATION or _leads_to_tenant(self.model, self.tenant_path):
            return []
        return [
            Error(
                f"tenant_path = {self.tenant_path!r} leads from {self.model._meta.label} to no tenant.",
                hint='Name the lookup to its tenant, such as "paywall__tenant", or INSTALLATION for superusers only.',
                obj=type(self),
                id="tollgate.E040",
            )
        ]

    def _check_actions(self) -> list[CheckMessage]:
        names = [name for attribute in _ACTIONS for name in _flat(getattr(self, attribute, None) or ())]
        found: list[CheckMessage] = []
        for name in names:
            method = getattr(self, name, None)
            permissions = getattr(method, "allowed_permissions", None)
            unknown = {*(permissions or ())} - {"view", "add", "change", "delete", *Can.values}
            if method is not None and (not permissions or unknown):
                found.append(
                    Error(
                        f"The action {name} says no permission that roles give or refuse.",
                        hint=f"Say permissions=[…] with one of: view, change, {', '.join(Can.values)}.",
                        obj=type(self),
                        id="tollgate.E041",
                    )
                )
        return found


_OF_DJANGO = {"changelist", "add", "history", "delete", "change", ""}
_ACTIONS = ("actions", "actions_list", "actions_row", "actions_detail", "actions_submit_line")


def _allow(can: Can) -> Callable[..., bool]:
    def has_permission(self: TenantPages, request: HttpRequest, row: Any = None) -> bool:
        return self.may(request, can, row=row)

    return has_permission


# Django and unfold ask `has_money_permission` for an action with permissions=["money"].
for _can in Can:
    setattr(TenantPages, f"has_{_can.value}_permission", _allow(_can))


def _flat(names: Iterable[Any]) -> list[Any]:
    return [
        name
        for entry in names
        for name in (entry["items"] if isinstance(entry, dict) else [entry])
        if isinstance(name, str)
    ]


def _leads_to_tenant(model: type[Model], path: str) -> bool:
    if path == "pk":
        return model._meta.label == "paywalls.Tenant"
    for name in path.split("__"):
        fields: dict[str, Any] = {field.name: field for field in model._meta.get_fields()}
        if name not in fields or not fields[name].is_relation:
            return False
        model = fields[name].related_model
    return model._meta.label == "paywalls.Tenant"
