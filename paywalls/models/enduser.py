"""End users: the people who pay, as an app names them."""

from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.limits import ANY, RequestLimits
from paywalls.models.paywall import Paywall

MAX_EXTERNAL_ID = 128


class EndUser(RequestLimits, Row):
    """Somebody whom a paywall charges. `external_id` is the app's own id for them, opaque to us.

    A limit of their own replaces the paywall's. Their spend limits are their wallet's.
    """

    public_kind = "user"

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="users")
    external_id = models.CharField(max_length=MAX_EXTERNAL_ID)
    blocked_at = models.DateTimeField(null=True, blank=True, editable=False)
    blocked_reason = models.TextField(
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="For operators; the user isn't shown it.",
    )

    class Meta:
        constraints = [
            *RequestLimits.Meta.constraints,
            models.UniqueConstraint(fields=["paywall", "external_id"], name="user_unique_in_paywall"),
            models.CheckConstraint(condition=~Q(external_id=""), name="user_id_not_empty"),
        ]
        # The few that a snapshot of the paywall names.
        indexes = [models.Index(fields=["paywall"], name="user_with_limits", condition=ANY)]

    def __str__(self) -> str:
        return self.external_id
