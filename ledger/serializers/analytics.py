"""Questions about use, on the wire."""

from datetime import UTC, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.wire import StrictText, envelope

DEFAULT_DAYS = 30
# More would be answered slowly, and read by nobody.
MAX_DAYS = 3 * 366
MAX_FORECAST_DAYS = 365


class RangeQuery(serializers.Serializer[Any]):
    """From when until when; whole hours (UTC) around it are answered, of the last 30 days where nothing is said."""

    customerId = StrictText(required=False, help_text="The customer whose key it is; no other.")
    startDate = serializers.DateTimeField(required=False)
    endDate = serializers.DateTimeField(required=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        until = given.get("endDate") or timezone.now()
        since = given.get("startDate") or until - timedelta(days=DEFAULT_DAYS)
        if since >= until:
            raise serializers.ValidationError({"startDate": "must be before endDate"})
        if until - since > timedelta(days=MAX_DAYS):
            raise serializers.ValidationError(
                {"startDate": f"must be at most {MAX_DAYS} days before endDate"}
            )
        return {**given, "startDate": since.astimezone(UTC), "endDate": until.astimezone(UTC)}


@extend_schema_field({"type": "string", "example": "OPENAI,ANTHROPIC"})
class CommaList(serializers.Field):
    """Several values, separated by commas."""

    def to_internal_value(self, data: Any) -> list[str]:
        values = [value for value in str(data).split(",") if value]
        if "\0" in str(data) or not 0 < len(values) <= 100:
            raise serializers.ValidationError("must be 1 to 100 values, separated by commas")
        return values


BUCKETS = ("day", "week", "month")


class BucketQuery(RangeQuery):
    groupBy = serializers.ChoiceField(BUCKETS, default="day", help_text="Weeks begin on Monday (UTC).")


def _filter() -> "serializers.Field[Any, Any, Any, Any]":
    return CommaList(required=False, help_text="Only these; several are separated by commas.")


class UsageQuery(BucketQuery):
    provider = _filter()
    model = _filter()
    featureId = _filter()
    eventType = _filter()
    paywallId = _filter()


class BurnRateQuery(serializers.Serializer[Any]):
    customerId = StrictText(required=False, help_text="The customer whose key it is; no other.")
    userId = StrictText(
        required=False, help_text="One user; all wallets of the customer where none is named."
    )


class ForecastQuery(BurnRateQuery):
    days = serializers.IntegerField(min_value=1, max_value=MAX_FORECAST_DAYS, default=30)


class UsageSummary(serializers.Serializer[Any]):
    totalEvents = serializers.IntegerField()
    totalInputTokens = serializers.CharField(help_text="Read from a cache or not.")
    totalOutputTokens = serializers.CharField()
    totalCreditsBurned = serializers.CharField()
    totalCostUsd = serializers.CharField(help_text="What the providers charge, as far as it is known.")
    cacheReadTokens = serializers.CharField()
    cacheWriteTokens = serializers.CharField()
    failedEvents = serializers.IntegerField()
    blockedRequests = serializers.IntegerField(help_text="Refused before any provider; no events.")
    eventsWithoutKnownCost = serializers.IntegerField()


class Burned(serializers.Serializer[Any]):
    eventCount = serializers.IntegerField()
    creditsBurned = serializers.CharField()
    costUsd = serializers.CharField()


class FeatureUse(Burned):
    featureId = serializers.CharField(help_text="Of chat traffic the API, such as `chat`.")


class ProviderUse(serializers.Serializer[Any]):
    provider = serializers.CharField()
    model = serializers.CharField()
    eventCount = serializers.IntegerField()
    inputTokens = serializers.CharField()
    outputTokens = serializers.CharField()


class TypeUse(Burned):
    eventType = serializers.CharField()


class TimelineUse(serializers.Serializer[Any]):
    date = serializers.DateField()
    events = serializers.IntegerField()
    creditsBurned = serializers.CharField()


class Usage(serializers.Serializer[Any]):
    summary = UsageSummary()
    byFeature = FeatureUse(many=True)
    byProvider = ProviderUse(many=True)
    byEventType = TypeUse(many=True)
    timeline = TimelineUse(many=True)


class CostSummary(serializers.Serializer[Any]):
    totalRevenue = serializers.CharField()
    totalProviderCost = serializers.CharField()
    totalMargin = serializers.CharField()
    marginPercent = serializers.FloatField(help_text="0 where there was no revenue.")
    eventsWithoutKnownCost = serializers.IntegerField()


class ProviderCosts(serializers.Serializer[Any]):
    provider = serializers.CharField()
    model = serializers.CharField()
    providerCost = serializers.CharField()
    revenue = serializers.CharField()
    margin = serializers.CharField()


class Costs(serializers.Serializer[Any]):
    summary = CostSummary()
    byProvider = ProviderCosts(many=True)


class Period(serializers.Serializer[Any]):
    startDate = serializers.DateTimeField()
    endDate = serializers.DateTimeField()
    groupBy = serializers.ChoiceField(BUCKETS)


class Earned(serializers.Serializer[Any]):
    events = serializers.IntegerField()
    inputTokens = serializers.CharField()
    outputTokens = serializers.CharField()
    revenue = serializers.CharField()
    providerCost = serializers.CharField()
    margin = serializers.CharField()


class BreakdownLine(Earned):
    date = serializers.DateField()
    provider = serializers.CharField()
    model = serializers.CharField()


class BreakdownTotals(Earned):
    marginPercent = serializers.FloatField()


class CostBreakdown(serializers.Serializer[Any]):
    data = BreakdownLine(many=True)  # type: ignore[assignment]  # the contract's name
    totals = BreakdownTotals()
    period = Period()


class Totals(Earned):
    creditsBurned = serializers.CharField()


class TrendLine(Totals):
    date = serializers.DateField()


class UsageTrends(serializers.Serializer[Any]):
    data = TrendLine(many=True)  # type: ignore[assignment]  # the contract's name
    period = Period()


class BurnMean(serializers.Serializer[Any]):
    creditsBurned = serializers.CharField()
    averagePerDay = serializers.CharField()


class Runout(serializers.Serializer[Any]):
    daysRemaining = serializers.FloatField(allow_null=True)
    estimatedRunoutDate = serializers.DateField(allow_null=True)


class Recommendation(serializers.Serializer[Any]):
    type = serializers.CharField()
    message = serializers.CharField()
    action = serializers.CharField()


class BurnRate(serializers.Serializer[Any]):
    currentBalance = serializers.CharField()
    last7Days = BurnMean()
    last30Days = BurnMean()
    projectedRunout = Runout()
    recommendations = Recommendation(many=True)


class ForecastLine(serializers.Serializer[Any]):
    date = serializers.DateField()
    projectedBurn = serializers.FloatField()
    projectedBalance = serializers.FloatField()


class Projections(Runout):
    nextWeekBurn = serializers.FloatField()
    nextMonthBurn = serializers.FloatField()


class BurnForecast(serializers.Serializer[Any]):
    currentBalance = serializers.FloatField()
    averageDailyBurn = serializers.FloatField()
    forecast = ForecastLine(many=True)
    projections = Projections()


class CreditBalance(serializers.Serializer[Any]):
    balance = serializers.CharField()
    reserved = serializers.CharField()
    available = serializers.CharField()


class Activity(serializers.Serializer[Any]):
    id = serializers.CharField()
    type = serializers.CharField()
    credits = serializers.CharField(help_text="What it changed; burns are negative.")
    createdAt = serializers.DateTimeField()


class Summary(serializers.Serializer[Any]):
    creditBalance = CreditBalance()
    lifetime = Totals()
    last30Days = Totals()
    recentActivity = Activity(many=True)


UsageAnswer = envelope("UsageAnswer", Usage())
CostsAnswer = envelope("CostsAnswer", Costs())
BurnRateAnswer = envelope("BurnRateAnswer", BurnRate())
