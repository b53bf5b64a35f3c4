"""Who paid in a period is exact, in whatever order charges came and were rolled up."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from ledger.analytics import payers as asked_of
from ledger.analytics.overview import period
from ledger.analytics.payers import Payer, Payers, payers
from ledger.analytics.rollups import roll_up, roll_up_all
from ledger.verification import RULES
from tests.factories import make_paywall
from tests.test_rollups import ask

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 10, 14, 20, tzinfo=UTC)
DAYS = 70


def expected(charges: list[tuple[date, str, int]], first: date, last: date) -> Payers:
    """What the charges themselves say."""

    def between(first: date, last: date) -> Counter[str]:
        sums: Counter[str] = Counter()
        for day, user, amount in charges:
            if first <= day <= last and amount:
                sums[user] += amount
        return sums

    now = between(first, last)
    length = last - first + timedelta(days=1)
    best = sorted(now.items(), key=lambda item: (-item[1], item[0]))[: asked_of.TOP]
    return Payers(
        len(now), len(between(first - length, first - timedelta(days=1))), [Payer(*each) for each in best]
    )


@pytest.mark.parametrize("few", [0, 2_000], ids=["everybody's days", "the days of those above the bar"])
def test_payers_are_who_paid(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_of, "_EACH_BY_THEMSELVES", few)
    monkeypatch.setattr(asked_of, "_LIKELY", 12)
    dice = random.Random(7)
    paywall = make_paywall()
    other = make_paywall(paywall.tenant)
    charges: dict[object, list[tuple[date, str, int]]] = {paywall.pk: [], other.pk: []}
    for _ in range(150):
        of = dice.choice([paywall, paywall, other])
        at = NOW - timedelta(days=dice.randrange(DAYS))
        user, charge = f"user-{dice.randrange(30)}", dice.choice([0, 5, 20, dice.randrange(1, 1_000)])
        ask(of, user, at=at, charge=charge)
        charges[of.pk].append((at.date(), user, charge))
        if dice.random() < 0.1:
            roll_up(dice.randrange(1, 40))
    everything = [*charges[paywall.pk], *charges[other.pk]]
    for rolled_up in (False, True):
        for first, last in ((0, 0), (6, 0), (30, 2), (33, 10), (DAYS // 2, 0), (DAYS, 0)):
            days = NOW.date() - timedelta(days=first), NOW.date() - timedelta(days=last)
            asked = period(*days, NOW)
            assert payers([paywall.tenant_id], asked) == expected(everything, *days), (rolled_up, first, last)
            assert payers([paywall.tenant_id], asked, other.pk) == expected(charges[other.pk], *days)
        roll_up_all()
    with connection.cursor() as cursor:
        for rule in RULES[-2:]:
            cursor.execute(rule.statement)
            assert not cursor.fetchall(), rule.name
