"""Events: what happened, in the exact bytes that every delivery of it carries."""

from typing import Any

import orjson
from django.db import models
from django.db.models import Q

from config.models import Row


class Event(Row):
    """Written in the transaction of what it tells about, and only where a live subscription wants it."""

    public_kind = "event"

    paywall = models.ForeignKey("paywalls.Paywall", on_delete=models.CASCADE, related_name="events")
    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    type = models.CharField(max_length=64)
    version = models.CharField(max_length=16)
    # The request to a model that it is about, where it is about one.
    request_id = models.UUIDField(null=True, blank=True, editable=False)
    # The member `event` of the delivery's body, byte for byte.
    body = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["paywall", "id"], name="event_of_paywall"),
            models.Index(fields=["type", "id"], name="event_of_type"),
            models.Index(
                fields=["request_id"], name="event_of_request", condition=Q(request_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def content(self) -> dict[str, Any]:
        """The event as the receiver reads it."""
        read: dict[str, Any] = orjson.loads(bytes(self.body))
        return read
