"""What a paywall offers on its top-up page."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from config.money import NANO

DEFAULT_PRESETS = (5 * NANO, 10 * NANO, 25 * NANO, 50 * NANO)


def default_presets() -> list[int]:
    """$5, $10, $25 and $50."""
    return list(DEFAULT_PRESETS)


class TopUpOffer(models.Model):
    """Amounts in nano-dollars, whole cents. `return_origins` are the apps that an end user may be sent back to."""

    topup_minimum = models.BigIntegerField(default=1 * NANO)
    topup_maximum = models.BigIntegerField(default=500 * NANO)
    topup_presets = ArrayField(models.BigIntegerField(), default=default_presets, blank=True)
    return_origins = ArrayField(models.CharField(max_length=255), default=list, blank=True)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(topup_minimum__gt=0, topup_maximum__gte=F("topup_minimum")),
                name="%(class)s_topup_range",
            ),
        ]
