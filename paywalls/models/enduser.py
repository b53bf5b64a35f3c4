"""End users: the people who pay, as an app names them."""

from django.db import models
from django.db.models import Q

from config.models import Row
from paywalls.models.paywall import Paywall

MAX_EXTERNAL_ID = 128


class EndUser(Row):
    """Somebody whom a paywall charges. `external_id` is the app's own id for them, opaque to us."""

    public_kind = "user"

    paywall = models.ForeignKey(Paywall, on_delete=models.CASCADE, related_name="users")
    external_id = models.CharField(max_length=MAX_EXTERNAL_ID)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["paywall", "external_id"], name="user_unique_in_paywall"),
            models.CheckConstraint(condition=~Q(external_id=""), name="user_id_not_empty"),
        ]

    def __str__(self) -> str:
        return self.external_id
