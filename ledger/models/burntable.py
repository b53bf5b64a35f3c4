"""Burn tables: what a tenant charges, in credits, for the usage that it reports."""

from django.db import models
from django.db.models import F, Q

from config.models import Row


class BurnTable(Row):
    """A version of a tenant's prices in credits. `rules` are by model, `*` for all others (`ledger/rating/rules.py`).

    In force for usage from `valid_from` until before `valid_until`; null is unbounded.
    """

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.CASCADE, related_name="burn_tables")
    name = models.CharField(max_length=255)
    version = models.PositiveIntegerField(editable=False)
    rules = models.JSONField()
    is_active = models.BooleanField(default=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "version"], name="burn_table_version_once"),
            models.CheckConstraint(
                condition=Q(valid_from=None) | Q(valid_until=None) | Q(valid_until__gt=F("valid_from")),
                name="burn_table_validity_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"
