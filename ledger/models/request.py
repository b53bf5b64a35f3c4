"""What is remembered of requests to models: facts and figures, never what was asked or answered."""

from django.db import models
from django.db.models import Q

from config.models import Row


class ProxyRequest(Row):
    """One request to a model; its key is the request's id, `created_at` when it came (the gateway's clock).

    Written once, with the settlement: in the transaction of its charge or release. A request that was refused before it
    held anything is written a moment later, and one that runs for long shows as started until then. `lost` is one
    whose process died. `cost` and `charge` are nano-dollars; a cost that isn't known is null. There is no prompt and no
    output in here.
    """

    class Status(models.TextChoices):
        STARTED = "started", "Started"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELED = "canceled", "Canceled"
        BLOCKED = "blocked", "Blocked"
        LOST = "lost", "Lost"

    public_kind = "request"

    # The gateway knows them both to be there: no constraint, which would cost a look-up a row.
    paywall = models.ForeignKey(
        "paywalls.Paywall", on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    external_id = models.CharField("user", max_length=128)
    model = models.CharField(max_length=128, blank=True)
    provider = models.CharField(max_length=64, blank=True, help_text="Who served it, or was asked last.")
    upstream_model = models.CharField(max_length=128, blank=True)
    surface = models.CharField(max_length=16)
    status = models.CharField(max_length=16, choices=Status)
    reason = models.CharField(max_length=64, blank=True, help_text="Why it was blocked, failed or lost.")
    input_tokens = models.IntegerField(default=0)
    cache_read_tokens = models.IntegerField(default=0)
    cache_write_tokens = models.IntegerField(default=0)
    output_tokens = models.IntegerField(default=0)
    reasoning_tokens = models.IntegerField(default=0, help_text="A part of the output.")
    images = models.IntegerField(default=0)
    cost = models.BigIntegerField(null=True, blank=True)
    charge = models.BigIntegerField(default=0)
    estimated = models.BooleanField(default=False, help_text="Tokens counted by us, not by the provider.")
    first_byte_ms = models.IntegerField("first byte (ms)", null=True, blank=True)
    total_ms = models.IntegerField("total (ms)", null=True, blank=True)
    attempts = models.SmallIntegerField(default=0, help_text="How often a provider was asked.")
    http_status = models.SmallIntegerField("HTTP status", null=True, blank=True)
    streamed = models.BooleanField(default=False)
    upstream_request_id = models.CharField(max_length=128, blank=True)

    class Meta:
        verbose_name = "request"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["started", "completed", "failed", "canceled", "blocked", "lost"]),
                name="request_status_known",
            ),
            models.CheckConstraint(condition=Q(charge__gte=0), name="request_charge_not_negative"),
        ]
        indexes = [
            models.Index(fields=["created_at"], name="request_date"),
            models.Index(fields=["paywall", "-created_at"], name="request_paywall_date"),
            models.Index(fields=["paywall", "external_id", "-created_at"], name="request_user_date"),
            # Nearly all are completed: who looks for those finds them by date.
            models.Index(
                fields=["status", "-created_at"], name="request_status_date", condition=~Q(status="completed")
            ),
        ]

    def __str__(self) -> str:
        return self.public_id


class RequestKey(Row):
    """An Idempotency-Key of a request to a model; the row's key is the request's id, and its hold's.

    Written in the hold's transaction, under the wallet's lock. What became of the request is what became of the hold:
    open is in flight, captured is done, and a released one charged nothing, so that the key is free again. `answer` is
    the plain answer, encrypted, where the paywall keeps them. Of the key only its SHA-256 is kept.
    """

    paywall = models.ForeignKey(
        "paywalls.Paywall", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    external_id = models.CharField(max_length=128)
    digest = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    answer = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["paywall", "external_id", "digest"], name="request_key_unique_for_user"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="request_key_age")]

    def __str__(self) -> str:
        return self.digest[:8]
