"""Reported usage under load: overlapping batches, a database that fails half way, and retries."""

import random
import threading

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from ledger.metering.ingest import Reporter, ingest
from ledger.metering.reading import read
from ledger.models import Account, Transfer, UsageEvent, UsageMonth
from ledger.verification import verify
from tests.tenants import TenantApi, event
from tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def take(api, events):
    now = timezone.now()
    return ingest(Reporter.of(api.tenant, api.home.pk), read({"events": events}, api.tenant.pk, now), now)


def each_once(api, events):
    assert UsageEvent.objects.count() == len(events)
    assert set(map(str, UsageEvent.objects.values_list("event_id", flat=True))) == {
        e["event_id"] for e in events
    }
    assert Transfer.objects.filter(kind="burn").count() == len(events)
    assert UsageMonth.objects.get().events == len(events)
    assert list(verify()) == []


def test_overlapping_batches_in_opposite_order_keep_each_event_once():
    """Two batches of a thousand share most of their events, have duplicates inside, and name the users crosswise."""
    api = TenantApi()
    users = [f"user-{n}" for n in range(20)]
    events = [event(user_id=users[n % 20], idempotency_key=f"key-{n}") for n in range(1_100)]
    batches = [[*events[:900], *events[:100]], [*events[1_099:199:-1], *events[1_099:999:-1]]]
    taken = in_threads(2, lambda n: take(api, batches[n]))
    assert sum(one.accepted for one in taken) == 1_100
    each_once(api, events)


def test_batches_with_crossed_ids_and_keys_end_without_a_deadlock():
    """The same keys under other event ids, in another order: one of two that wait for each other is tried again."""
    api = TenantApi()
    keys = [f"key-{n}" for n in range(60)]
    batches = []
    for seed in range(4):
        order = random.Random(seed).sample(keys, len(keys))
        batches.append([event(user_id=f"user-{seed}", idempotency_key=key) for key in order])
    taken = in_threads(4, lambda n: take(api, batches[n]))
    assert sum(one.accepted for one in taken) == 60
    assert UsageEvent.objects.count() == Transfer.objects.filter(kind="burn").count() == 60
    assert list(verify()) == []


def test_a_database_that_fails_half_way_keeps_nothing_and_a_retry_everything():
    api = TenantApi()
    events = [event(user_id=f"user-{n % 3}") for n in range(50)]

    def failing(execute, sql, params, many, context):
        if "INSERT INTO ledger_usageevent" in sql:
            raise DatabaseError("the connection is lost")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(failing), pytest.raises(DatabaseError):
        take(api, events)
    assert not UsageEvent.objects.exists()
    assert not Transfer.objects.exists()
    assert take(api, events).accepted == 50
    assert take(api, events).duplicates == 50
    each_once(api, events)


def test_two_first_batches_make_one_wallet_for_each():
    api = TenantApi()
    owners = [{"user_id": "alice"}, {"team_id": "red"}, {}]
    in_threads(6, lambda n: take(api, [event(**owner) for owner in (owners if n % 2 else owners[::-1])]))
    assert Account.objects.filter(kind="wallet").count() == 3
    assert UsageEvent.objects.count() == 18
    assert list(verify()) == []


def test_the_months_quota_is_exact_under_concurrency():
    api = TenantApi()
    now = timezone.now()
    barrier = threading.Barrier(5)

    def report(n):
        reporter = Reporter.of(api.tenant, api.home.pk, monthly_events=25)
        barrier.wait()
        try:
            return ingest(
                reporter, read({"events": [event() for _ in range(10)]}, api.tenant.pk, now), now
            ).accepted
        except Exception as refusal:
            return type(refusal).__name__

    results = in_threads(5, report)
    assert sorted(map(str, results)) == ["10", "10", "QuotaReached", "QuotaReached", "QuotaReached"]
    assert UsageEvent.objects.count() == UsageMonth.objects.get().events == 20
