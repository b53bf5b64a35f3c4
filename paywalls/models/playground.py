"""A paywall's playground: a chat page for whoever has its link, and what the link may cost."""

import uuid

from django.db import models
from django.db.models import Q

from config.models import Row
from config.money import NANO
from paywalls.models.paywall import Paywall


class Playground(Row):
    """The link is made of `link_id`, so that another one makes another link. Amounts are nano-dollars a day (UTC).

    There is no playground without limits: anybody who gets hold of the link may use it.
    """

    paywall = models.OneToOneField(Paywall, on_delete=models.CASCADE, related_name="playground")
    is_on = models.BooleanField("on", default=True, help_text="Whether the link opens the page.")
    link_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    visitor_requests_per_minute = models.PositiveIntegerField(
        "requests per minute of a visitor", default=10, help_text="Of one visitor."
    )
    link_requests_per_minute = models.PositiveIntegerField(
        "requests per minute in all", default=60, help_text="Of all visitors together."
    )
    visitor_spend_per_day = models.BigIntegerField("spend per day of a visitor", default=1 * NANO)
    link_spend_per_day = models.BigIntegerField("spend per day in all", default=10 * NANO)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    visitor_requests_per_minute__gt=0,
                    link_requests_per_minute__gt=0,
                    visitor_spend_per_day__gt=0,
                    link_spend_per_day__gt=0,
                ),
                name="playground_limits_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"Playground of {self.paywall}"


class PlaygroundDay(models.Model):
    """What all visitors of a playground held or spent on a day (UTC), in nano-dollars; it limits, it moves no money."""

    playground = models.ForeignKey(Playground, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    used = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["playground", "day"], name="playground_day_once"),
            models.CheckConstraint(condition=Q(used__gte=0), name="playground_day_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.day}"
