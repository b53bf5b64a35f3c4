"""Connections: which wallet pays for an end user of a shared paywall, and the requests that ask for it."""

from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.enduser import EndUser
from paywalls.models.paywall import Paywall
from paywalls.models.walletuser import WalletUser


class Connection(Row):
    """A wallet user's word that an end user of a shared paywall may spend from their wallet, until it ends.

    `month_limit` (nano-dollars) is the most in a month (UTC). `window_day`, `day_used` and `month_used` are what was
    held or spent through it, as for a wallet (`ledger/windows.py`): posting writes them, under the wallet's lock.
    """

    public_kind = "connection"

    user = models.ForeignKey(EndUser, on_delete=models.PROTECT, related_name="connections")
    # The user's own, kept here so that a hold's transaction finds it in one step.
    paywall = models.ForeignKey(Paywall, on_delete=models.PROTECT, related_name="connections")
    wallet_user = models.ForeignKey(WalletUser, on_delete=models.PROTECT, related_name="connections")
    month_limit = models.BigIntegerField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    window_day = models.DateField(null=True, blank=True, editable=False)
    day_used = models.BigIntegerField(default=0, db_default=0, editable=False)
    month_used = models.BigIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(ended_at=None), name="connection_one_live_a_user"
            ),
            models.CheckConstraint(
                condition=Q(month_limit=None) | Q(month_limit__gte=0), name="connection_limit_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id


class AuthorizationRequest(Row):
    """A link that asks whoever opens it to connect one end user to their wallet. Answered once.

    The token in the URL is made from the key and SECRET_KEY, so a copy of this table opens nobody's page.
    """

    class State(models.TextChoices):
        OPEN = "open"
        APPROVED = "approved"
        DECLINED = "declined"

    public_kind = "authorization"

    user = models.ForeignKey(EndUser, on_delete=models.CASCADE, related_name="authorization_requests")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    wallet_user = models.ForeignKey(
        WalletUser, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it was declined.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="open", answered_at=None)
                | Q(state__in=["approved", "declined"], answered_at__isnull=False),
                name="authorization_answered_or_open",
            ),
        ]
        indexes = [models.Index(fields=["user", "-expires_at"], name="authorization_of_user")]

    def __str__(self) -> str:
        return self.public_id
