"""Roll-ups: what was used, summed by hour and by user and day; who paid; and the increments that are not in them yet.

All are derived: `ledger/analytics/rollups.py` says from what, and `verify_ledger` proves it. Money is in
nano-dollars.
"""

from django.db import models
from django.db.models import Q

from paywalls.models.enduser import MAX_EXTERNAL_ID


class Measures(models.Model):
    """What is summed of requests and events.

    `errors` of the events failed; `blocked` requests never reached a provider and are no events. `charged` is what
    users paid, `cost` what the providers charge for it, `uncosted` how many events have no known cost. Tokens are in
    disjoint buckets.
    """

    events = models.BigIntegerField()
    errors = models.BigIntegerField()
    blocked = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    charged = models.BigIntegerField()
    cost = models.BigIntegerField()
    uncosted = models.BigIntegerField()

    class Meta:
        abstract = True


def _derived(model: str) -> "models.ForeignKey[models.Model, models.Model]":
    # No constraint: these rows are only copies of what rows with constraints say, a thousand at a time.
    return models.ForeignKey(
        model, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )


class UsageIncrement(Measures):
    """What one transaction added (or took back), not yet in the roll-ups.

    Written by triggers in the transaction of the rows it tells about, removed by the roll-up that adds it: whatever is
    committed is counted just once, in the order of nothing but its own commit. The counters of features get their
    uses from here as well.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = _derived("paywalls.Tenant")
    paywall_id = models.UUIDField(null=True)
    user_id = models.CharField(max_length=MAX_EXTERNAL_ID)
    hour = models.DateTimeField()
    feature_id = models.CharField(max_length=255)
    provider = models.CharField(max_length=255)
    model = models.CharField(max_length=255)
    event_type = models.CharField(max_length=32)
    # Uses of the feature that no `consume` has counted before, and the day (UTC) on which they count.
    uses = models.BigIntegerField(db_default=0)
    used_on = models.DateField(null=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "user_id"], name="usage_increment_user")]

    def __str__(self) -> str:
        return f"{self.event_type} {self.hour:%Y-%m-%d %H:%M}"


class UsageHour(Measures):
    """A tenant's use in one hour (UTC, by the time of the event) of one feature, provider, model and type."""

    id = models.BigAutoField(primary_key=True)
    tenant = _derived("paywalls.Tenant")
    hour = models.DateTimeField()
    paywall_id = models.UUIDField(null=True)
    feature_id = models.CharField(max_length=255)
    provider = models.CharField(max_length=255)
    model = models.CharField(max_length=255)
    event_type = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "hour", "paywall_id", "feature_id", "provider", "model", "event_type"],
                name="usage_hour_unique",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(
                fields=["paywall_id", "hour"],
                name="usage_hour_paywall",
                condition=Q(paywall_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.hour:%Y-%m-%d %H:%M}"


class UsageDay(Measures):
    """One end user's use in a paywall on one day (UTC, by the time of the event)."""

    id = models.BigAutoField(primary_key=True)
    tenant = _derived("paywalls.Tenant")
    day = models.DateField()
    paywall_id = models.UUIDField(null=True)
    user_id = models.CharField(max_length=MAX_EXTERNAL_ID)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "day", "paywall_id", "user_id"],
                name="usage_day_unique",
                nulls_distinct=False,
            ),
        ]
        indexes = [models.Index(fields=["tenant", "user_id", "day"], name="usage_day_user")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.day}"


class PayerMonth(models.Model):
    """What one end user paid in a paywall in one month (its first day, UTC, by the time of the event)."""

    id = models.BigAutoField(primary_key=True)
    tenant = _derived("paywalls.Tenant")
    month = models.DateField()
    paywall_id = models.UUIDField(null=True)
    user_id = models.CharField(max_length=MAX_EXTERNAL_ID)
    charged = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "month", "paywall_id", "user_id"],
                name="payer_month_unique",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.month:%Y-%m}"


class PayerDay(models.Model):
    """How many end users paid on one day (UTC) who had paid last on an earlier one, or never.

    In a paywall, or in any of the tenant's where none is named. Who paid between two days is counted once by those
    rows of these days whose `last_paid` lies before the first of them: nobody's rows have to be read.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = _derived("paywalls.Tenant")
    paywall_id = models.UUIDField(null=True)
    day = models.DateField()
    last_paid = models.DateField(null=True)
    users = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "paywall_id", "day", "last_paid"],
                name="payer_day_unique",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.users} on {self.day}"


class RawHorizon(models.Model):
    """Until when raw rows were forgotten (one row, none where nothing was): older roll-ups can't be proved any more."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    forgotten_until = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="raw_horizon_is_one")]

    def __str__(self) -> str:
        return f"{self.forgotten_until:%Y-%m-%d %H:%M}"
