"""Operators: Django's users, and the tenants that they work for."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.tenant import Tenant
from paywalls.roles import Role


class Membership(Row):
    """An operator in a tenant, with a role. Superusers need none."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)

    class Meta:
        verbose_name = "team member"
        constraints = [
            models.UniqueConstraint(fields=["user", "tenant"], name="membership_once_a_tenant"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"
