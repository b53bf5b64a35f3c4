"""The overview's figures as people read them: cards beside the period before, and charts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from config import money
from config.admin.columns import list_of
from ledger.admin.overview.charts import BLUE, GREEN, ORANGE, RED, Chart, Series
from ledger.analytics.overview import Overview
from ledger.analytics.payers import Payers
from ledger.analytics.queries import Sums
from paywalls.models import EndUser

CENT = money.NANO // 100
_MODELS = 10


@dataclass(frozen=True, slots=True)
class Card:
    """One figure. `exact` is its hover text; `tone` says whether the change is good, bad or neither."""

    title: str
    value: str
    exact: str
    before: str
    change: str
    arrow: str
    tone: str
    help: str


def cards(found: Overview) -> list[Card]:
    """The figures of the first page that hours say."""
    now, before = found.now, found.before
    errors = Fraction(now.errors, now.events) if now.events else Fraction(0)
    errors_before = Fraction(before.errors, before.events) if before.events else Fraction(0)
    return [
        _card("Revenue", now.charged, before.charged, dollars, 1, "What end users were charged for use"),
        _card(
            "Provider cost",
            now.cost,
            before.cost,
            dollars,
            -1,
            f"What providers charge for it{_unknown(now)}",
        ),
        _card(
            "Profit",
            now.margin,
            before.margin,
            dollars,
            1,
            "Revenue less provider cost, as far as it is known",
        ),
        _card(
            "Requests", now.events, before.events, _number, 1, f"{now.blocked:,} more were blocked beforehand"
        ),
        Card(
            "Error rate",
            _percent(errors),
            f"{now.errors:,} of {now.events:,} requests failed",
            _percent(errors_before),
            f"{abs(float((errors - errors_before) * 100)):.2f} points",
            _arrow(errors, errors_before),
            _tone(errors, errors_before, -1),
            "Requests that a provider failed, or that were lost",
        ),
    ]


def charts(found: Overview) -> list[Chart]:
    """Over time, and by model."""
    points, sums = [at for at, _ in found.timeline], [each for _, each in found.timeline]
    labels = [_label(at, found.period.bucket) for at in points]
    top = found.models[:_MODELS]
    return [
        Chart(
            "money",
            f"Revenue, cost and profit by {found.period.bucket}",
            found.period.bucket,
            "US dollars",
            labels,
            [
                _money("Revenue", BLUE, [each.charged for each in sums]),
                _money("Provider cost", ORANGE, [each.cost for each in sums]),
                _money("Profit", GREEN, [each.margin for each in sums]),
            ],
        ),
        Chart(
            "requests",
            f"Requests and errors by {found.period.bucket}",
            found.period.bucket,
            "Requests",
            labels,
            [
                _count("Requests", BLUE, [each.events for each in sums]),
                _count("Errors", RED, [each.errors for each in sums]),
            ],
            kind="bar",
        ),
        Chart(
            "models",
            "Revenue and cost by model",
            "model",
            "US dollars",
            [group.key[0] or "none" for group in top],
            [
                _money("Revenue", BLUE, [group.sums.charged for group in top]),
                _money("Provider cost", ORANGE, [group.sums.cost for group in top]),
            ],
            kind="bar",
            sideways=True,
        ),
    ]


def payers_card(found: Payers) -> Card:
    """How many paid."""
    return _card("Active payers", found.now, found.before, _number, 1, "End users who paid, on whole days")


def payers_chart(found: Payers) -> Chart:
    """Who paid most."""
    return Chart(
        "users",
        "Who paid most",
        "user",
        "US dollars",
        [user.user_id for user in found.top],
        [_money("Paid", BLUE, [user.charged for user in found.top])],
        kind="bar",
        sideways=True,
        links=[list_of(EndUser, q=user.user_id) for user in found.top],
    )


def dollars(nano: int) -> str:
    """An amount for a card: to the cent, or from the first digits where it is less."""
    unit = CENT if abs(nano) >= CENT else 1_000
    return money.formatted(-(-nano // unit) * unit if nano < 0 else nano // unit * unit)


def _card(title: str, now: int, before: int, said: Callable[[int], str], better: int, help: str) -> Card:
    exact = money.formatted(now) if said is dollars else said(now)
    if now == before:
        change = "no change"
    elif before > 0:
        change = f"{float(Fraction(abs(now - before) * 100, before)):.1f}%"
    else:
        change = "new"
    return Card(
        title, said(now), exact, said(before), change, _arrow(now, before), _tone(now, before, better), help
    )


def _arrow(now: int | Fraction, before: int | Fraction) -> str:
    return "" if now == before else "up" if now > before else "down"


def _tone(now: int | Fraction, before: int | Fraction, better: int) -> str:
    return "" if now == before else "good" if (now > before) == (better > 0) else "bad"


def _unknown(sums: Sums) -> str:
    return f"; not known for {sums.uncosted:,} requests" if sums.uncosted else ""


def _percent(rate: Fraction) -> str:
    return f"{float(rate * 100):.2f}%"


def _number(value: int) -> str:
    return f"{value:,}"


def _money(title: str, color: str, amounts: list[int]) -> Series:
    return Series(
        title, color, [money.plain(amount // CENT * CENT if abs(amount) >= CENT else amount) for amount in amounts],
        [money.formatted(amount) for amount in amounts],
    )  # fmt: skip


def _count(title: str, color: str, counts: list[int]) -> Series:
    return Series(title, color, counts, [_number(count) for count in counts])


def _label(at: datetime, bucket: str) -> str:
    return f"{at:%H:%M}" if bucket == "hour" else f"{at:%b %Y}" if bucket == "month" else f"{at:%b} {at.day}"
