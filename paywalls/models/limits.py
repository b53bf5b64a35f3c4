"""What one end user may do at the most: columns of paywalls, models and end users. Null is no limit of its own."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

SPEND = ("spend_per_day", "spend_per_month")
RATES = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
REQUEST_LIMITS = (*RATES, "max_output_tokens", "allowed_models")


class RateLimits(models.Model):
    """How much one end user may ask for in a minute, and at a time."""

    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_requests = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=(Q(requests_per_minute=None) | Q(requests_per_minute__gt=0))
                & (Q(tokens_per_minute=None) | Q(tokens_per_minute__gt=0))
                & (Q(concurrent_requests=None) | Q(concurrent_requests__gt=0)),
                name="%(class)s_rates_positive",
            ),
        ]


class RequestLimits(RateLimits):
    """Rates, and what a single request may be. `allowed_models` are ids, or beginnings of ids that end in `*`."""

    max_output_tokens = models.PositiveIntegerField(null=True, blank=True)
    allowed_models = ArrayField(models.CharField(max_length=128), null=True, blank=True)

    class Meta:
        abstract = True
        constraints = [
            *RateLimits.Meta.constraints,
            models.CheckConstraint(
                condition=Q(max_output_tokens=None) | Q(max_output_tokens__gt=0),
                name="%(class)s_output_limit_positive",
            ),
        ]


# Whether any of them is set.
ANY = Q(*((f"{name}__isnull", False) for name in REQUEST_LIMITS), _connector=Q.OR)
