"""What was used, earned and spent, and when the credits run out."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import ApiError, NotFound
from config.openapi import tenant_errors
from ledger.analytics import balances, queries, reports
from ledger.analytics.forecast import DAYS
from ledger.analytics.queries import Selection
from ledger.serializers import analytics as wire
from paywalls.views.base import TenantView

TAGS = ["Analytics"]

# The contract's names of what can be filtered by.
FILTERS = {
    "provider": "provider",
    "model": "model",
    "featureId": "feature_id",
    "eventType": "event_type",
    "paywallId": "paywall_id",
}


class AnalyticsView(TenantView):
    """Figures of the tenant whose key it is, from roll-ups: exact now, for whole hours."""

    def check_customer(self, asked: dict[str, Any]) -> None:
        """Raises ApiError (403)."""
        if asked.get("customerId", str(self.tenant.pk)) not in {str(self.tenant.pk), self.tenant.public_id}:
            raise ApiError(
                "customerId: is another customer's; a key reads its own.",
                status=403,
                code="forbidden",
                param="customerId",
            )

    def selection(self, asked: dict[str, Any]) -> Selection:
        """The hours and filters that were asked for."""
        self.check_customer(asked)
        filters = {ours: asked[theirs] for theirs, ours in FILTERS.items() if theirs in asked}
        if "paywall_id" in filters:
            filters["paywall_id"] = [_paywall_id(given) for given in filters["paywall_id"]]
        since, until = queries.whole_hours(asked["startDate"], asked["endDate"])
        return Selection([self.tenant.pk], since, until, filters)

    def burned(self, asked: dict[str, Any]) -> tuple[int, dict[Any, int]]:
        """The balance and what was burned by day, of the user who was asked for or of all wallets (nano-dollars)."""
        self.check_customer(asked)
        user_id = asked.get("userId")
        balance = (
            balances.of_user(self.caller.home_id, user_id) if user_id else balances.of_all(self.tenant.pk)
        )
        if balance is None:
            raise NotFound("There is no such user, or they have no wallet yet.")
        since = datetime.now(UTC).date() - timedelta(days=DAYS)
        return balance.available, queries.burned_by_day(self.tenant.pk, since, user_id)


class UsageView(AnalyticsView):
    @extend_schema(
        operation_id="getUsage",
        summary="What was used, by feature, provider, type and time",
        tags=TAGS,
        parameters=[wire.UsageQuery],
        responses={200: OpenApiResponse(wire.UsageAnswer, "Exact now."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        """Chat traffic and reported events together."""
        asked = self.read(wire.UsageQuery, request.query_params)
        found = reports.usage(self.selection(asked), self.tenant.credits_per_usd, asked["groupBy"])
        return Response({"data": found})


class CostsView(AnalyticsView):
    @extend_schema(
        operation_id="getCosts",
        summary="Revenue, the providers' cost, and the margin",
        tags=TAGS,
        parameters=[wire.RangeQuery],
        responses={200: OpenApiResponse(wire.CostsAnswer, "In US dollars."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        """Of an event whose cost nobody knows, the whole revenue counts as margin; their number is told."""
        return Response(
            {"data": reports.costs(self.selection(self.read(wire.RangeQuery, request.query_params)))}
        )


class CostBreakdownView(AnalyticsView):
    @extend_schema(
        operation_id="getCostBreakdown",
        summary="Revenue, cost and margin by day, provider and model",
        tags=TAGS,
        parameters=[wire.BucketQuery],
        responses={200: OpenApiResponse(wire.CostBreakdown, "In US dollars."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        asked = self.read(wire.BucketQuery, request.query_params)
        return Response(reports.cost_breakdown(self.selection(asked), asked["groupBy"]))


class UsageTrendsView(AnalyticsView):
    @extend_schema(
        operation_id="getUsageTrends",
        summary="What was used by day, week or month",
        tags=TAGS,
        parameters=[wire.BucketQuery],
        responses={
            200: OpenApiResponse(wire.UsageTrends, "Every bucket, also without use."),
            **tenant_errors(),
        },
    )
    def get(self, request: Request) -> Response:
        asked = self.read(wire.BucketQuery, request.query_params)
        return Response(
            reports.usage_trends(self.selection(asked), self.tenant.credits_per_usd, asked["groupBy"])
        )


class BurnRateView(AnalyticsView):
    @extend_schema(
        operation_id="getBurnRate",
        summary="How fast credits burn, and how long they last",
        tags=TAGS,
        parameters=[wire.BurnRateQuery],
        responses={200: OpenApiResponse(wire.BurnRateAnswer, "In credits."), **tenant_errors(404)},
    )
    def get(self, request: Request) -> Response:
        """The run-out goes by the last 30 whole days, the latest counting most."""
        balance, burned = self.burned(self.read(wire.BurnRateQuery, request.query_params))
        rate = reports.burn_rate(burned, balance, self.tenant.credits_per_usd, datetime.now(UTC).date())
        return Response({"data": rate})


class BurnForecastView(AnalyticsView):
    @extend_schema(
        operation_id="getBurnForecast",
        summary="The balance to expect in the coming days",
        tags=TAGS,
        parameters=[wire.ForecastQuery],
        responses={200: OpenApiResponse(wire.BurnForecast, "In credits."), **tenant_errors(404)},
    )
    def get(self, request: Request) -> Response:
        asked = self.read(wire.ForecastQuery, request.query_params)
        balance, burned = self.burned(asked)
        today = datetime.now(UTC).date()
        return Response(
            reports.burn_forecast(burned, balance, self.tenant.credits_per_usd, today, asked["days"])
        )


class SummaryView(AnalyticsView):
    @extend_schema(
        operation_id="getAnalyticsSummary",
        summary="The customer at a glance",
        tags=TAGS,
        responses={200: OpenApiResponse(wire.Summary, "All wallets of the customer."), **tenant_errors()},
    )
    def get(self, request: Request) -> Response:
        """The balance, what was used ever and lately, and the last movements."""
        return Response(reports.summary(self.tenant.pk, self.tenant.credits_per_usd, datetime.now(UTC)))


def _paywall_id(given: str) -> uuid.UUID:
    try:
        return uuid.UUID(hex=given.removeprefix("pw_"))
    except ValueError:
        raise ApiError(
            "paywallId: must be paywalls' ids", param="paywallId", code="validation_error"
        ) from None
