"""The answers of the analytics endpoints, from sums: credits and dollars as exact decimals."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from config import ids, money
from config.wire import exact, stamp
from ledger.analytics import balances, queries
from ledger.analytics.forecast import Forecast, forecast, mean, total
from ledger.analytics.queries import Group, Selection, Sums
from ledger.rating import credits

# A week's mean this much over the month's is worth a word (percent).
SPIKE_PERCENT = 150
SOON_DAYS = 7
RECENT = 10
# All of a tenant's time, and a clock of theirs that is ahead.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)


def _text(nano: int, per_usd: int) -> str:
    return exact(credits.of(nano, per_usd))


def _percent(part: int, whole: int) -> Decimal:
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.01")) if whole else Decimal(0)


def usage(selection: Selection, per_usd: int, bucket: str) -> dict[str, Any]:
    """What was used: in all, by feature, by provider and model, by type of event, over time."""
    [all_of_it], by_feature, by_provider, by_type, timeline = queries.grouped(
        selection, (), ("feature_id",), ("provider", "model"), ("event_type",), ("bucket",), bucket=bucket
    )
    sums = all_of_it.sums

    def costs(group: Group) -> dict[str, Any]:
        return {
            "eventCount": group.sums.events,
            "creditsBurned": _text(group.sums.charged, per_usd),
            "costUsd": money.plain(group.sums.cost),
        }

    return {
        "summary": {
            "totalEvents": sums.events,
            "totalInputTokens": str(sums.all_input_tokens),
            "totalOutputTokens": str(sums.output_tokens),
            "totalCreditsBurned": _text(sums.charged, per_usd),
            "totalCostUsd": money.plain(sums.cost),
            "cacheReadTokens": str(sums.cache_read_tokens),
            "cacheWriteTokens": str(sums.cache_write_tokens),
            "failedEvents": sums.errors,
            "blockedRequests": sums.blocked,
            "eventsWithoutKnownCost": sums.uncosted,
        },
        "byFeature": [{"featureId": group.key[0], **costs(group)} for group in by_feature],
        "byProvider": [
            {
                "provider": group.key[0],
                "model": group.key[1],
                "eventCount": group.sums.events,
                "inputTokens": str(group.sums.all_input_tokens),
                "outputTokens": str(group.sums.output_tokens),
            }
            for group in by_provider
        ],
        "byEventType": [{"eventType": group.key[0], **costs(group)} for group in by_type],
        "timeline": [
            {
                "date": group.key[0].date().isoformat(),
                "events": group.sums.events,
                "creditsBurned": _text(group.sums.charged, per_usd),
            }
            for group in timeline
        ],
    }


def costs(selection: Selection) -> dict[str, Any]:
    """What it earned, what the providers charge for it, and what is left: in all, by provider and model."""
    [all_of_it], by_provider = queries.grouped(selection, (), ("provider", "model"))
    sums = all_of_it.sums
    return {
        "summary": {
            "totalRevenue": money.plain(sums.charged),
            "totalProviderCost": money.plain(sums.cost),
            "totalMargin": money.plain(sums.margin),
            "marginPercent": _percent(sums.margin, sums.charged),
            "eventsWithoutKnownCost": sums.uncosted,
        },
        "byProvider": [
            {
                "provider": group.key[0],
                "model": group.key[1],
                "providerCost": money.plain(group.sums.cost),
                "revenue": money.plain(group.sums.charged),
                "margin": money.plain(group.sums.margin),
            }
            for group in by_provider
        ],
    }


def cost_breakdown(selection: Selection, bucket: str) -> dict[str, Any]:
    """What each provider and model earned and cost over time."""
    [all_of_it], lines = queries.grouped(selection, (), ("bucket", "provider", "model"), bucket=bucket)
    return {
        "data": [
            {
                "date": group.key[0].date().isoformat(),
                "provider": group.key[1],
                "model": group.key[2],
                **_earned(group.sums),
            }
            for group in lines
        ],
        "totals": {
            **_earned(all_of_it.sums),
            "marginPercent": _percent(all_of_it.sums.margin, all_of_it.sums.charged),
        },
        "period": _period(selection, bucket),
    }


def usage_trends(selection: Selection, per_usd: int, bucket: str) -> dict[str, Any]:
    """What was used over time; a day, week or month without any is a zero."""
    [lines] = queries.grouped(selection, ("bucket",), bucket=bucket)
    found = {group.key[0].date(): group.sums for group in lines}
    dates = _buckets(selection, bucket)
    return {
        "data": [
            {
                "date": day.isoformat(),
                "creditsBurned": _text(found.get(day, Sums()).charged, per_usd),
                **_earned(found.get(day, Sums())),
            }
            for day in dates
        ],
        "period": _period(selection, bucket),
    }


def burn_rate(burned: dict[date, int], balance: int, per_usd: int, today: date) -> dict[str, Any]:
    """How fast the balance goes, when it will be gone, and what to do about it."""
    expected = forecast(balance, burned, today)

    def last(days: int) -> dict[str, str]:
        return {
            "creditsBurned": _text(total(burned, today, days), per_usd),
            "averagePerDay": _text(mean(burned, today, days), per_usd),
        }

    return {
        "currentBalance": _text(balance, per_usd),
        "last7Days": last(7),
        "last30Days": last(30),
        "projectedRunout": _runout(expected),
        "recommendations": _recommendations(expected, burned, today),
    }


def burn_forecast(
    burned: dict[date, int], balance: int, per_usd: int, today: date, days: int
) -> dict[str, Any]:
    """The balance expected at the end of each of the coming days."""
    expected = forecast(balance, burned, today)
    return {
        "currentBalance": credits.of(balance, per_usd),
        "averageDailyBurn": credits.of(expected.per_day, per_usd),
        "forecast": [
            {
                "date": (today + timedelta(days=ahead)).isoformat(),
                "projectedBurn": credits.of(expected.per_day, per_usd),
                "projectedBalance": credits.of(expected.balance_after(ahead), per_usd),
            }
            for ahead in range(1, days + 1)
        ],
        "projections": {
            **_runout(expected),
            "nextWeekBurn": credits.of(expected.per_day * 7, per_usd),
            "nextMonthBurn": credits.of(expected.per_day * 30, per_usd),
        },
    }


def summary(tenant_id: uuid.UUID, per_usd: int, now: datetime) -> dict[str, Any]:
    """All wallets' balance, what was used ever and in the last 30 days, and the last movements."""
    balance = balances.of_all(tenant_id)

    def used(since: datetime) -> dict[str, Any]:
        hours = queries.whole_hours(since, now + AHEAD)
        sums = queries.total(Selection([tenant_id], *hours))
        return {"creditsBurned": _text(sums.charged, per_usd), **_earned(sums)}

    return {
        "creditBalance": {
            "balance": _text(balance.posted, per_usd),
            "reserved": _text(balance.held, per_usd),
            "available": _text(balance.available, per_usd),
        },
        "lifetime": used(BEGINNING),
        "last30Days": used(now - timedelta(days=30)),
        "recentActivity": [
            {
                "id": ids.public("activity", transfer.pk),
                "type": transfer.kind,
                "credits": _text(transfer.balance_after - transfer.balance_before, per_usd),
                "createdAt": stamp(transfer.created_at),
            }
            for transfer in balances.last_transfers(tenant_id, RECENT)
        ],
    }


def _earned(sums: Sums) -> dict[str, Any]:
    return {
        "events": sums.events,
        "inputTokens": str(sums.all_input_tokens),
        "outputTokens": str(sums.output_tokens),
        "revenue": money.plain(sums.charged),
        "providerCost": money.plain(sums.cost),
        "margin": money.plain(sums.margin),
    }


def _period(selection: Selection, bucket: str) -> dict[str, Any]:
    return {
        "startDate": stamp(selection.since),
        "endDate": stamp(selection.until),
        "groupBy": bucket,
    }


def _buckets(selection: Selection, bucket: str) -> Sequence[date]:
    """The first day of each day, week (from Monday) or month of the range."""
    day = selection.since.astimezone(UTC).date()
    end = selection.until.astimezone(UTC) - timedelta(microseconds=1)
    if bucket == "week":
        day -= timedelta(days=day.weekday())
    elif bucket == "month":
        day = day.replace(day=1)
    found = []
    while day <= end.date():
        found.append(day)
        match bucket:
            case "week":
                day += timedelta(days=7)
            case "month":
                day = (day + timedelta(days=31)).replace(day=1)
            case _:
                day += timedelta(days=1)
    return found


def _runout(expected: Forecast) -> dict[str, Any]:
    left = expected.days_left
    return {
        "daysRemaining": None
        if left is None
        else (Decimal(left.numerator) / left.denominator).quantize(Decimal("0.1")),
        "estimatedRunoutDate": expected.runs_out and expected.runs_out.isoformat(),
    }


def _recommendations(expected: Forecast, burned: dict[date, int], today: date) -> list[dict[str, str]]:
    found = []
    if expected.days_left is not None and expected.balance <= 0:
        found.append(
            {"type": "exhausted", "message": "There are no credits left.", "action": "purchase_credits"}
        )
    elif expected.days_left is not None and expected.days_left < SOON_DAYS:
        found.append(
            {
                "type": "low_balance",
                "message": f"At this rate the credits last less than {int(expected.days_left) + 1} days.",
                "action": "purchase_credits",
            }
        )
    week, month = mean(burned, today, 7), mean(burned, today, 30)
    if week * 100 > month * SPIKE_PERCENT and any(day <= today - timedelta(days=7) for day in burned):
        found.append(
            {
                "type": "usage_spike",
                "message": "The last 7 days burned much more a day than the last 30.",
                "action": "review_usage",
            }
        )
    return found
