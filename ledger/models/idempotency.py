"""Idempotency keys: what was answered to whom."""

from django.db import models

from config.models import Row


class IdempotencyKey(Row):
    """The answer that a paywall's key got at an endpoint, to be given again to the same request.

    Written in the transaction of what it answers, so that neither is ever there without the other; a key in flight is
    an advisory lock and no row. Of the key only its SHA-256 is kept.
    """

    paywall = models.ForeignKey(
        "paywalls.Paywall", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    endpoint = models.CharField(max_length=32)
    digest = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["paywall", "endpoint", "digest"], name="idempotency_key_unique_at_endpoint"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_key_age")]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.digest[:8]}"
