"""Usage that apps report: one row an event, and how many there were in a month."""

from django.db import models
from django.db.models import Q

from config.models import Row
from ledger.models.account import Account


class UsageEvent(Row):
    """An event of the metering API as it was accepted, and what became of it. Written with its transfer.

    `timestamp` is when it was used, `created_at` when it was taken in (the transaction's clock). Tokens are in
    buckets that don't overlap. `cost` is what the provider charges and `amount` what the wallet is charged, both in
    nano-dollars; null where nobody knows. The transfer's source is `event:<id>`. Users and teams are found by joining
    `user` and `team`; events without either are the tenant's own.
    """

    class Type(models.TextChoices):
        TOKEN_USAGE = "TOKEN_USAGE"  # noqa: S105  (no password)
        API_CALL = "API_CALL"
        FEATURE_ACCESS = "FEATURE_ACCESS"
        IMAGE_GENERATION = "IMAGE_GENERATION"
        VIDEO_GENERATION = "VIDEO_GENERATION"
        CUSTOM = "CUSTOM"

    class State(models.TextChoices):
        BILLED = "billed", "Billed"
        FREE = "free", "Nothing to bill"
        UNBILLED = "unbilled", "Not covered by the wallet"
        UNRATED = "unrated", "Without a price"

    # Written in bulk, beside rows that hold these in place: no constraint of their own is checked for each.
    tenant = models.ForeignKey(
        "paywalls.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    wallet = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="usage_events", db_index=False, db_constraint=False
    )
    user = models.ForeignKey(
        "paywalls.EndUser",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="usage_events",
        db_index=False,
        db_constraint=False,
    )
    team = models.ForeignKey(
        "paywalls.Team",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="usage_events",
        db_index=False,
        db_constraint=False,
    )
    event_id = models.UUIDField()
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  (absent is not "")
    batch_id = models.UUIDField()
    timestamp = models.DateTimeField()
    event_type = models.CharField(max_length=24, choices=Type)
    feature_id = models.CharField(max_length=255)
    provider = models.CharField(max_length=16, blank=True, default="")
    model = models.CharField(max_length=128, blank=True, default="")
    input_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    images = models.BigIntegerField(default=0)
    image_size = models.CharField(max_length=32, blank=True, default="")
    quality = models.CharField(max_length=32, blank=True, default="")
    unit_type = models.CharField(max_length=32, blank=True, default="")
    quantity = models.DecimalField(max_digits=24, decimal_places=9, default=0)
    metadata = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State)
    amount = models.BigIntegerField(null=True, blank=True)
    cost = models.BigIntegerField(null=True, blank=True)
    burn_table = models.UUIDField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "event_id"], name="usage_event_once"),
            models.UniqueConstraint(
                fields=["tenant", "idempotency_key"],
                name="usage_event_key_once",
                condition=Q(idempotency_key__isnull=False),
            ),
            models.CheckConstraint(
                condition=Q(state="unrated", amount=None)
                | (~Q(state="unrated") & Q(amount__isnull=False, amount__gte=0)),
                name="usage_event_rated_or_not",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="usage_event_of_tenant"),
            models.Index(
                fields=["tenant", "id"],
                name="usage_event_to_bill",
                condition=Q(state__in=["unbilled", "unrated"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"


class UsageMonth(Row):
    """How many events a tenant reported in a month (UTC, by when they came in): what its tier's quota counts."""

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    month = models.DateField(help_text="Its first day.")
    events = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "month"], name="usage_month_once"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
