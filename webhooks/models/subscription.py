"""Subscriptions: who wants which events, and how their endpoint is doing."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from config.models import Row

MAX_URL = 2_048
MAX_DESCRIPTION = 512


class Subscription(Row):
    """An endpoint of a paywall's owner.

    A change of `events` or `is_active` moves the paywall's config_version (a trigger), because the gateway's
    snapshot knows what is wanted; the endpoint's health below moves nothing.
    """

    public_kind = "subscription"

    paywall = models.ForeignKey(
        "paywalls.Paywall", on_delete=models.CASCADE, related_name="webhook_subscriptions"
    )
    url = models.TextField(max_length=MAX_URL)
    events = ArrayField(models.CharField(max_length=128))
    description = models.CharField(max_length=MAX_DESCRIPTION, blank=True, default="")
    custom_headers = models.JSONField(default=dict, blank=True)
    created_by = models.CharField(max_length=64, blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)
    is_active = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=255, blank=True, default="")

    secret = models.TextField(editable=False, help_text="Encrypted. Signs every delivery.")
    secret_suffix = models.CharField(max_length=6, editable=False)
    previous_secret = models.TextField(blank=True, default="", editable=False, help_text="Encrypted.")
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)

    # `manage.py listen` takes its deliveries itself, while it runs: workers leave them alone.
    listening_until = models.DateTimeField(null=True, blank=True, editable=False)

    # Health, written by `webhooks.recording` only: attempts in a row without an answer to go by; since when nothing
    # succeeded; how many deliveries ended without success since; until when the breaker is open.
    consecutive_failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    failed_deliveries = models.PositiveIntegerField(default=0, editable=False)
    open_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_slow = models.BooleanField(default=False, editable=False)
    last_delivered_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["paywall"], name="subscription_live", condition=Q(is_active=True)),
        ]

    def __str__(self) -> str:
        return self.url
