"""The audit log: every write by an operator or a key on money, prices, keys and settings."""

from django.db import models
from django.db.models.functions import Now

from paywalls.models.tenant import Tenant


class AuditEntry(models.Model):
    """One row that was written, or one request that wrote none of the audited ones.

    The database writes it, in the transaction of what it tells about (see `paywalls/audit.py`), and refuses to change
    or delete it. `before` and `after` hold what changed; a secret in them is `***`. Without a tenant it
    is the installation's own.
    """

    class Actor(models.TextChoices):
        OPERATOR = "operator", "Operator"
        PAYWALL_KEY = "paywall_key", "Paywall key"
        TENANT_KEY = "tenant_key", "Tenant key"
        COMMAND = "command", "Command"

    class Action(models.TextChoices):
        INSERT = "insert", "Added"
        UPDATE = "update", "Changed"
        DELETE = "delete", "Deleted"
        REQUEST = "request", "Did"

    id = models.BigAutoField(primary_key=True)
    created_at = models.DateTimeField("when", db_default=Now(), editable=False)
    # No constraint: the log outlives the tenant.
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    actor_type = models.CharField(max_length=16, choices=Actor)
    actor = models.CharField("who", max_length=200, help_text="A user name, or the end of a key.")
    address = models.CharField("from", max_length=64, blank=True, default="", db_default="")
    request_id = models.UUIDField(null=True, blank=True)
    action = models.CharField(max_length=16, choices=Action)
    subject_type = models.CharField("what", max_length=100, help_text="A table, or a request's method.")
    subject = models.CharField("which", max_length=500, help_text="The key of the row, or a request's path.")
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "audit log"
        indexes = [
            models.Index(fields=["tenant", "-id"], name="audit_of_tenant"),
            models.Index(fields=["subject", "-id"], name="audit_of_subject"),
            models.Index(fields=["created_at"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.actor}: {self.get_action_display()} {self.subject_type} {self.subject}"
