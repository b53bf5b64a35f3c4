"""Django's question `user.has_perm("paywalls.change_paywall")`, answered by the page of the model."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model

from config.admin.tenancy import TenantPages
from paywalls.operators import access_of


class OperatorBackend(ModelBackend):
    """Logs operators in by password. What they may do follows from their roles, not from Django's own permissions."""

    def has_perm(
        self, user_obj: AbstractBaseUser | AnonymousUser, perm: str, obj: Model | None = None
    ) -> bool:
        """Whether the page's rules allow it in any tenant, or in that of the row."""
        app, _, codename = perm.partition(".")
        verb, _, model = codename.partition("_")
        page = admin.site._registry.get(apps.all_models.get(app, {}).get(model))  # type: ignore[arg-type]
        if not isinstance(page, TenantPages):
            return False
        return page.allows(access_of(user_obj), page.permission(verb), row=obj)

    def has_module_perms(self, user_obj: AbstractBaseUser | AnonymousUser, app_label: str) -> bool:
        return bool(access_of(user_obj).tenants())

    def get_all_permissions(self, user_obj: Any, obj: Model | None = None) -> set[str]:
        return set()
