"""Stripe accounts that take money for us: a paywall's own, or the installation's."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q, UUIDField, Value
from django.db.models.functions import Coalesce, Now

from config.models import Row
from paywalls.models import Paywall

_NOBODY = Value(uuid.UUID(int=0), output_field=UUIDField())


class StripeAccount(Row):
    """A Stripe account that was connected, and the webhook endpoint that we keep there.

    `paywall` is whose it is, none for the installation's own. The key itself is the paywall's `stripe_secret_key`, or
    the setting STRIPE_SECRET_KEY; `key_digest` (SHA-256) tells whether it is still the one that was verified. Without
    `endpoint_id` Stripe can't reach us and payments are found by asking. `disconnected_at` keeps the row for its
    history; at most one of an owner is connected. Events made before `events_read_until` were asked for.
    """

    public_kind = "stripe_account"

    paywall = models.ForeignKey(
        Paywall, on_delete=models.CASCADE, null=True, blank=True, related_name="stripe_accounts"
    )
    livemode = models.BooleanField()
    key_digest = models.CharField(max_length=64, editable=False)
    key_suffix = models.CharField(max_length=4, editable=False)
    endpoint_id = models.CharField(max_length=255, blank=True, default="")
    endpoint_url = models.CharField(max_length=500, blank=True, default="")
    webhook_secret = models.TextField(blank=True, default="", editable=False, help_text="Encrypted.")
    previous_secret = models.TextField(blank=True, default="", editable=False, help_text="Encrypted.")
    previous_endpoint_id = models.CharField(max_length=255, blank=True, default="", editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False)
    events_read_until = models.DateTimeField(db_default=Now(), editable=False)
    connected_by = models.CharField(max_length=150)
    disconnected_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "Stripe account"
        constraints = [
            models.UniqueConstraint(
                Coalesce("paywall", _NOBODY),
                condition=Q(disconnected_at=None),
                name="stripe_account_one_connected_of_an_owner",
            ),
            models.CheckConstraint(
                condition=Q(endpoint_id="") | ~Q(webhook_secret=""), name="stripe_endpoint_has_a_secret"
            ),
            models.CheckConstraint(
                condition=Q(disconnected_at=None) | Q(webhook_secret="", previous_secret=""),
                name="stripe_disconnected_keeps_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"Stripe of {self.paywall or 'the installation'}"

    def previous_is_valid(self, now: datetime) -> bool:
        """Whether what the previous endpoint signs is still believed."""
        return self.previous_until is not None and now < self.previous_until
