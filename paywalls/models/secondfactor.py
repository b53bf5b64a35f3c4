"""An operator's second factor: an app that shows codes, and recovery codes for when it is lost."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from config.models import Row


class SecondFactor(Row):
    """One for an operator. Until `confirmed_at` is set nobody is asked for it; see `paywalls/twofactor.py`."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor"
    )
    secret = models.TextField(editable=False, help_text="Encrypted. What the app makes its codes of.")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    # SHA-256 of the recovery codes that are not used yet.
    recovery_digests = ArrayField(models.CharField(max_length=64), default=list, editable=False)
    # The 30 seconds whose code was taken last: it, and any before, is taken no more.
    last_step = models.BigIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failed_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return f"second factor of {self.user}"
