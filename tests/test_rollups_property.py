"""After every step of any interleaving, roll-ups and increments are the raw rows."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.analytics import queries, rollups
from ledger.analytics.queries import Selection, Sums
from ledger.models import ProxyRequest, UsageEvent
from ledger.verification import RULES
from paywalls import tenants
from tests.factories import make_paywall, make_tenant
from tests.test_rollups import ask, report
from tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 3, 31, 22, 15, tzinfo=UTC)
USERS = st.sampled_from(["alice", "bob"])
TIMES = st.integers(0, 200).map(lambda minutes: START + timedelta(minutes=minutes))

STEPS = st.one_of(
    st.tuples(st.just("report"), st.sampled_from(["alice", "bob", None]), TIMES, st.integers(0, 9)),
    st.tuples(st.just("ask"), USERS, TIMES, st.sampled_from(["completed", "failed", "blocked", "started"])),
    st.tuples(st.just("end"), st.sampled_from(["completed", "failed", "lost"])),
    st.tuples(st.just("bill")),
    st.tuples(st.just("roll up"), st.integers(1, 3)),
    st.tuples(st.just("two roll up")),
    st.tuples(st.just("fail half way"), USERS, TIMES),
)


class FailedHalfWay(Exception):
    pass


def fail_half_way(tenant, user, at):
    with transaction.atomic():
        report(tenant, user, at=at)
        raise FailedHalfWay


def take(step, tenant, paywall):
    match step:
        case "report", user, at, cost:
            report(tenant, user, at=at, state="unbilled" if cost % 2 else "billed", cost=cost or None)
        case "ask", user, at, status:
            ask(paywall, user, at=at, status=status, charge=0 if status == "blocked" else 7)
        case "end", status:
            ProxyRequest.objects.filter(paywall=paywall, status="started").update(
                status=status, charge=3, output_tokens=11
            )
        case ("bill",):
            UsageEvent.objects.filter(tenant=tenant, state="unbilled").update(state="billed", amount=4)
        case "roll up", limit:
            rollups.roll_up(limit)
        case ("two roll up",):
            in_threads(2, lambda _: rollups.roll_up())
        case "fail half way", user, at:
            with pytest.raises(FailedHalfWay):
                fail_half_way(tenant, user, at)


def raw_sums(tenant):
    """What the tenant's rows themselves say, summed here."""
    requests = [row for row in ProxyRequest.objects.filter(paywall__tenant=tenant) if row.status != "started"]
    events = list(UsageEvent.objects.filter(tenant=tenant))
    ended = [row for row in requests if row.status != "blocked"]
    rows = [*requests, *events]
    return Sums(
        events=len(ended) + len(events),
        errors=sum(row.status in ("failed", "lost") for row in requests),
        blocked=len(requests) - len(ended),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        charged=sum(row.charge for row in requests)
        + sum(row.amount for row in events if row.state == "billed"),
        cost=sum(row.cost or 0 for row in rows),
        uncosted=sum(row.cost is None for row in events)
        + sum(row.cost is None and row.status == "completed" for row in requests),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_roll_ups_and_increments_are_the_raw_rows_after_every_step(steps):
    tenant = make_tenant()
    paywall = make_paywall(tenant)
    tenants.home_of(tenant)
    everything = Selection([tenant.pk], START - timedelta(days=1), START + timedelta(days=1))
    for step in steps:
        take(step, tenant, paywall)
        assert queries.total(everything) == raw_sums(tenant)
    while rollups.roll_up():
        pass
    assert queries.total(everything) == raw_sums(tenant)


def test_a_transaction_that_commits_late_is_not_skipped():
    """It began before others that were rolled up in between."""
    tenant = make_tenant()
    tenants.home_of(tenant)
    everything = Selection([tenant.pk], START - timedelta(days=1), START + timedelta(days=1))

    def work(index):
        if index == 0:
            with transaction.atomic():
                report(tenant, at=START)
                barriers[0].wait()
                barriers[1].wait()
        else:
            barriers[0].wait()
            report(tenant, at=START)
            rolled = rollups.roll_up()
            seen = queries.total(everything).events
            barriers[1].wait()
            return rolled, seen
        return None

    barriers = [threading.Barrier(2, timeout=30) for _ in range(2)]
    assert in_threads(2, work)[1] == (1, 1)
    assert queries.total(everything).events == 2
    assert rollups.roll_up() == 1
    assert queries.total(everything).events == 2


def test_two_roll_ups_at_once_count_everything_once():
    tenant = make_tenant()
    for _ in range(20):
        report(tenant, "alice", at=START)
    in_threads(4, lambda _: rollups.roll_up(7))
    rollups.roll_up()
    everything = Selection([tenant.pk], START - timedelta(days=1), START + timedelta(days=1))
    assert queries.total(everything).events == 20


def test_the_proof_agrees():
    tenant = make_tenant()
    report(tenant, "alice", at=START)
    rollups.roll_up()
    report(tenant, "alice", at=START)
    with connection.cursor() as cursor:
        for rule in RULES[-4:]:
            cursor.execute(rule.statement)
            assert cursor.fetchall() == []


def test_a_long_queue_is_swept_where_it_was(monkeypatch):
    monkeypatch.setattr(rollups, "VACUUM_AT", 1)
    tenant = make_tenant()
    report(tenant, at=START)
    assert rollups.roll_up_all() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('ledger_usageincrement')")
        assert cursor.fetchone() == (0,)
