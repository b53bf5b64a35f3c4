"""Entitlements: how often a feature may be used; and the counters of how often it was."""

from django.db import models
from django.db.models import F, Q

from config.models import Row
from paywalls.models.enduser import MAX_EXTERNAL_ID

MAX_FEATURE_ID = 255


class Entitlement(Row):
    """How often a tenant's user may use a feature in a window (UTC). Without a user it holds for each that has none.

    HARD refuses at the limit, SOFT only tells it, NONE counts and never limits.
    """

    class LimitType(models.TextChoices):
        HARD = "HARD", "Hard: refused at the limit"
        SOFT = "SOFT", "Soft: told at the limit"
        NONE = "NONE", "None: only counted"

    class Period(models.TextChoices):
        DAILY = "DAILY", "A day"
        MONTHLY = "MONTHLY", "A month"
        TOTAL = "TOTAL", "For good"

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.CASCADE, related_name="entitlements")
    user_id = models.CharField(
        "user",
        max_length=MAX_EXTERNAL_ID,
        blank=True,
        default="",
        help_text="Empty: every user, each for themselves.",
    )
    feature_id = models.CharField("feature", max_length=MAX_FEATURE_ID)
    limit_type = models.CharField(max_length=8, choices=LimitType)
    limit_value = models.BigIntegerField(null=True, blank=True)
    period = models.CharField(max_length=8, choices=Period, default=Period.TOTAL)
    metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "feature_id", "user_id"], name="entitlement_one_for_a_user_and_feature"
            ),
            models.CheckConstraint(
                condition=Q(limit_type="NONE") | Q(limit_value__isnull=False),
                name="entitlement_limit_has_a_value",
            ),
            models.CheckConstraint(
                condition=Q(limit_value=None) | Q(limit_value__gte=0), name="entitlement_limit_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(
                    limit_type__in=["HARD", "SOFT", "NONE"], period__in=["DAILY", "MONTHLY", "TOTAL"]
                ),
                name="entitlement_kinds_known",
            ),
            models.CheckConstraint(condition=~Q(feature_id=""), name="entitlement_feature_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.feature_id} {self.user_id or 'for everybody'}".strip()


class FeatureUsage(Row):
    """How often a tenant's user has used a feature: on `day` (UTC, the last one with a use), in its month, ever.

    `ledger.entitlements.consume` counts in it at once. What events and requests used is in their increments
    (`ledger/models/rollup.py`) until a roll-up adds it: readers add both.
    """

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    user_id = models.CharField(max_length=MAX_EXTERNAL_ID)
    feature_id = models.CharField(max_length=MAX_FEATURE_ID)
    day = models.DateField()
    day_used = models.BigIntegerField()
    month_used = models.BigIntegerField()
    total_used = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "feature_id", "user_id"], name="feature_usage_one_counter"
            ),
            models.CheckConstraint(
                condition=Q(day_used__gte=0, month_used__gte=F("day_used"), total_used__gte=F("month_used")),
                name="feature_usage_windows_nest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.feature_id}"


class FeatureUse(Row):
    """A use that `consume` counted under a key. A retry counts nothing more, nor does the event that reports it."""

    tenant = models.ForeignKey("paywalls.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    user_id = models.CharField(max_length=MAX_EXTERNAL_ID)
    feature_id = models.CharField(max_length=MAX_FEATURE_ID)
    units = models.BigIntegerField()
    answer = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key"], name="feature_use_key_unique"),
            models.CheckConstraint(condition=Q(units__gt=0), name="feature_use_units_positive"),
        ]
        indexes = [models.Index(fields=["created_at"], name="feature_use_age")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.feature_id}"
