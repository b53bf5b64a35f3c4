"""Whose figures an operator sees: of the tenants and paywalls that their lists show."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from paywalls.models import Paywall, Tenant
from paywalls.models.paywall import WALLETS


def rows(request: HttpRequest, model: type[Model]) -> QuerySet[Any]:
    """What the model's own list would show; nothing where the operator may not look at it."""
    its_admin = admin.site._registry[model]
    if not its_admin.has_view_permission(request):
        return model._default_manager.none()
    return its_admin.get_queryset(request)


def tenants(request: HttpRequest) -> list[uuid.UUID]:
    """The operator's tenants."""
    return list(rows(request, Tenant).order_by("pk").values_list("pk", flat=True))


def paywalls(request: HttpRequest) -> list[Paywall]:
    """The operator's paywalls by name, without the installation's own of wallets."""
    return list(rows(request, Paywall).exclude(pk=WALLETS).select_related("tenant").order_by("name", "pk"))
