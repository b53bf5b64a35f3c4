"""Keys of the metering API: who reports usage, reads figures, and manages a tenant."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.tenant import Tenant


class Scope(models.TextChoices):
    """What a tenant's key may do. `manage` changes settings and moves credit."""

    INGEST = "ingest", "Report usage"
    READ = "read", "Read"
    MANAGE = "manage", "Manage"


class TenantKey(Row):
    """A secret that names a tenant. Only its SHA-256 is stored: 256 random bits need no slow hash.

    `last_used_at` is written at most every few minutes. A rotated key keeps working until its `expires_at`.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=64, blank=True, default="")
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__len__gt=0) & Q(scopes__contained_by=[scope.value for scope in Scope]),
                name="tenant_key_scopes_known",
            ),
        ]

    def __str__(self) -> str:
        return f"sk-tenant-…{self.last_four}"
