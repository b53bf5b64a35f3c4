"""Holds: reservations with a deadline."""

from django.db import models
from django.db.models import Q

from config import ids
from config.models import Row
from ledger.models.account import Account


class Hold(Row):
    """`amount` nano-dollars of a wallet, reserved for one request. Resolved once.

    The key is the request's own key, so that one request can't hold twice. Open becomes captured (money moved, at
    most once), released (nothing moved), or expired (the sweeper took it after the deadline: its process died; the
    request counts as lost). `counted_on` is the day (UTC) in whose spend windows it counts: the wallet's, the
    connection's, and `model_spend`'s where its model limits what is spent on it.
    """

    class Kind(models.TextChoices):
        REQUEST = "request", "A request of the gateway"
        APP = "app", "An app's own"

    class State(models.TextChoices):
        OPEN = "open"
        CAPTURED = "captured"
        RELEASED = "released"
        EXPIRED = "expired"

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds", db_index=False)
    # In shared mode: through which the wallet pays. Posting has just read it, so no constraint is checked again.
    connection = models.ForeignKey(
        "paywalls.Connection",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    model_spend = models.ForeignKey(
        "ledger.ModelSpend",
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    amount = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    captured = models.BigIntegerField(default=0)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.REQUEST, db_default=Kind.REQUEST)
    # What a request of the gateway is: paywall, user, model, surface, streamed. It outlives the process that knew it.
    about = models.JSONField(default=dict, blank=True, editable=False)
    expires_at = models.DateTimeField()
    counted_on = models.DateField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0, captured__gte=0), name="hold_not_negative"),
            models.CheckConstraint(
                condition=Q(state="captured") | Q(captured=0), name="hold_captured_only_when_captured"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="hold_open_deadline", condition=Q(state="open")),
            models.Index(fields=["account"], name="hold_open_account", condition=Q(state="open")),
            # Not the open ones, which each request would write into it.
            models.Index(
                fields=["state", "id"], name="hold_uncharged", condition=Q(state__in=["released", "expired"])
            ),
        ]

    @property
    def public_id(self) -> str:
        """A request's hold has the request's id, an app's has one of its own (`hld_…`)."""
        return ids.public("hold" if self.kind == self.Kind.APP else "request", self.pk)

    def __str__(self) -> str:
        return self.public_id
