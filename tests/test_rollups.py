"""Roll-ups and increments together are the raw rows, at every moment and whatever runs at once."""

import datetime as dt
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from ledger.analytics import rollups
from ledger.models import FeatureUsage, ProxyRequest, UsageDay, UsageEvent, UsageHour, UsageIncrement
from paywalls import tenants
from paywalls.models import EndUser
from tests.factories import make_paywall, make_tenant
from tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 31, 12, 30, tzinfo=UTC)


def ask(paywall, user="alice", *, at=NOON, status="completed", charge=7, **figures):
    """A request of the gateway as it is recorded."""
    defaults = {
        "model": "echo",
        "provider": "sandbox",
        "surface": "chat",
        "input_tokens": 3,
        "output_tokens": 2,
    }
    return ProxyRequest.objects.create(
        paywall=paywall,
        external_id=user,
        status=status,
        charge=charge,
        created_at=at,
        **{**defaults, **figures},
    )


def test_a_request_is_in_the_hour_and_the_day_in_which_it_came():
    paywall = make_paywall()
    ask(paywall)
    ask(paywall, at=NOON + timedelta(minutes=29), cost=3)
    ask(paywall, at=NOON + timedelta(minutes=30), user="bob")
    assert rollups.roll_up() == 3
    hours = UsageHour.objects.order_by("hour").values_list("hour", "events", "charged", "cost", "uncosted")
    assert list(hours) == [
        (datetime(2026, 3, 31, 12, tzinfo=UTC), 2, 14, 3, 1),
        (datetime(2026, 3, 31, 13, tzinfo=UTC), 1, 7, 0, 1),
    ]
    days = UsageDay.objects.order_by("user_id").values_list("day", "user_id", "events", "input_tokens")
    assert list(days) == [(dt.date(2026, 3, 31), "alice", 2, 6), (dt.date(2026, 3, 31), "bob", 1, 3)]
    assert not UsageIncrement.objects.exists()


def test_a_request_that_was_only_started_adds_nothing_until_it_has_ended():
    paywall = make_paywall()
    request = ask(paywall, status="started", charge=0)
    assert not UsageIncrement.objects.exists()
    ProxyRequest.objects.filter(pk=request.pk).update(status="failed")
    assert list(UsageIncrement.objects.values_list("events", "errors", "charged")) == [(1, 1, 0)]
    ProxyRequest.objects.filter(pk=request.pk).update(status="completed", charge=9)
    rollups.roll_up()
    assert list(UsageHour.objects.values_list("events", "errors", "charged")) == [(1, 0, 9)]


def test_a_blocked_request_is_no_event():
    ask(make_paywall(), status="blocked", charge=0)
    rollups.roll_up()
    assert list(UsageHour.objects.values_list("events", "errors", "blocked", "uncosted")) == [(0, 0, 1, 0)]
    assert not FeatureUsage.objects.exists()


def test_what_is_forgotten_was_used_nevertheless():
    ask(make_paywall())
    rollups.roll_up()
    ProxyRequest.objects.all().delete()
    assert not UsageIncrement.objects.exists()
    assert UsageHour.objects.get().events == 1


def report(tenant, user=None, *, at=NOON, feature="chat", state="billed", amount=5, **figures):
    """An event as ingestion stores it."""
    home = tenants.home_of(tenant)
    person = EndUser.objects.get_or_create(paywall=home, external_id=user)[0] if user else None
    return UsageEvent.objects.create(
        tenant=tenant,
        wallet_id=uuid.uuid4(),
        user=person,
        event_id=figures.pop("event_id", uuid.uuid4()),
        batch_id=uuid.uuid4(),
        timestamp=at,
        event_type="API_CALL",
        feature_id=feature,
        state=state,
        amount=amount,
        **figures,
    )


def test_an_event_counts_in_its_own_hour_however_late_it_comes_and_in_its_tenants_home():
    tenant = make_tenant()
    report(tenant, "alice", at=NOON - timedelta(days=60), input_tokens=4)
    report(tenant, cost=2)
    rollups.roll_up()
    home = tenants.home_of(tenant).pk
    hours = UsageHour.objects.order_by("hour").values_list(
        "hour", "paywall_id", "events", "charged", "uncosted"
    )
    assert list(hours) == [
        (datetime(2026, 1, 30, 12, tzinfo=UTC), home, 1, 5, 1),
        (datetime(2026, 3, 31, 12, tzinfo=UTC), home, 1, 5, 0),
    ]
    assert list(UsageDay.objects.values_list("day", "user_id")) == [(dt.date(2026, 1, 30), "alice")]


def test_an_event_that_is_billed_later_earns_then_and_is_no_second_event():
    tenant = make_tenant()
    event = report(tenant, "alice", state="unbilled")
    rollups.roll_up()
    UsageEvent.objects.filter(pk=event.pk).update(state="billed")
    rollups.roll_up()
    assert list(UsageHour.objects.values_list("events", "charged")) == [(1, 5)]
    assert FeatureUsage.objects.get().total_used == 1


def test_uses_are_counted_by_the_day_and_month_of_the_event():
    tenant = make_tenant()
    today = timezone.now()
    first = today.replace(day=1)
    for at in (first - timedelta(days=1), today + timedelta(days=2), today):
        report(tenant, "alice", at=at)
    rollups.roll_up()
    counter = FeatureUsage.objects.get()
    assert (counter.day, counter.day_used, counter.month_used, counter.total_used) == (today.date(), 2, 2, 3)


def test_a_new_month_begins_at_nothing():
    tenant = make_tenant()
    report(tenant, "alice", at=NOON)
    report(tenant, "alice", at=NOON + timedelta(days=1))
    report(tenant, "alice", at=NOON)
    rollups.roll_up()
    counter = FeatureUsage.objects.get()
    assert (counter.day, counter.day_used, counter.month_used, counter.total_used) == (
        dt.date(2026, 4, 1),
        1,
        1,
        3,
    )


def test_batches_that_count_the_same_features_at_once_lose_nothing():
    tenant = make_tenant()
    features = ["a", "b", "c"]

    def work(index):
        for feature in features if index % 2 else reversed(features):
            report(tenant, "alice", feature=feature)

    report(tenant, "alice", feature="a")
    in_threads(4, work)
    rollups.roll_up()
    assert dict(FeatureUsage.objects.values_list("feature_id", "total_used")) == {"a": 5, "b": 4, "c": 4}


def test_a_roll_up_looks_for_no_increment_by_itself():
    """A join with the list of those to take, planned for a queue that had grown since, took minutes."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {rollups._ROLL_UP}", [rollups.MAX_INCREMENTS])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    taken = plan.split("CTE taken")[1].split("CTE named")[0]
    assert "Delete on ledger_usageincrement" in taken
    assert "Join" not in taken
    assert "Nested Loop" not in taken
