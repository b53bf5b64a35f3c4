"""The analytics endpoints: exact now, from roll-ups, of chat traffic and reported events together."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.money import NANO
from ledger import services
from ledger.analytics import rollups
from tests.factories import make_paywall
from tests.tenants import TenantApi, check_contract, exact
from tests.test_rollups import NOON, ask, report

pytestmark = pytest.mark.django_db

RANGE = {"startDate": "2026-03-01T00:00:00Z", "endDate": "2026-05-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def _unlimited(settings):
    settings.RATE_LIMIT_PER_MINUTE = 0


@pytest.fixture
def acme():
    """A customer whose chats and reports are partly rolled up."""
    api = TenantApi()
    ask(api.home, cost=3, charge=10, cache_read_tokens=4)
    report(api.tenant, "alice", amount=5, cost=2, provider="OPENAI", model="gpt-4o", input_tokens=1)
    rollups.roll_up()
    report(api.tenant, "bob", at=NOON + timedelta(days=1), feature="search", amount=20)
    ask(api.home, status="blocked", charge=0, input_tokens=0, output_tokens=0)
    return api


def test_chats_and_reports_rolled_up_or_not_are_in_one_answer(acme):
    used = acme.get("/v1/analytics/usage", **RANGE).json()["data"]
    assert used["summary"]["totalEvents"] == 3
    assert used["summary"]["totalInputTokens"] == "8"
    assert used["summary"]["totalCreditsBurned"] == "0.000035"
    assert used["summary"]["totalCostUsd"] == "0.000000005"
    assert (used["summary"]["blockedRequests"], used["summary"]["eventsWithoutKnownCost"]) == (1, 1)
    assert {line["featureId"]: line["eventCount"] for line in used["byFeature"]} == {"chat": 2, "search": 1}
    assert [(line["date"], line["events"]) for line in used["timeline"]] == [
        ("2026-03-31", 2),
        ("2026-04-01", 1),
    ]


def test_an_answer_is_the_same_before_and_after_a_roll_up(acme):
    before = acme.get("/v1/analytics/usage", **RANGE).json()
    rollups.roll_up()
    assert acme.get("/v1/analytics/usage", **RANGE).json() == before


@pytest.mark.parametrize(
    ("filters", "events"),
    [
        ({"featureId": "search"}, 1),
        ({"featureId": "search,chat"}, 3),
        ({"provider": "OPENAI", "model": "gpt-4o,other"}, 1),
        ({"eventType": "TOKEN_USAGE"}, 1),
        ({"model": "unknown"}, 0),
    ],
)
def test_filters_take_lists(acme, filters, events):
    used = acme.get("/v1/analytics/usage", **RANGE, **filters).json()["data"]
    assert used["summary"]["totalEvents"] == events


def test_costs_and_margins(acme):
    costs = exact(acme.get("/v1/analytics/costs", **RANGE))["data"]
    assert costs["summary"]["totalRevenue"] == "0.000000035"
    assert costs["summary"]["totalProviderCost"] == "0.000000005"
    assert costs["summary"]["totalMargin"] == "0.00000003"
    assert str(costs["summary"]["marginPercent"]) == "85.71"
    breakdown = acme.get("/v1/analytics/cost-breakdown", groupBy="month", **RANGE).json()
    assert [(line["date"], line["model"]) for line in breakdown["data"]] == [
        ("2026-03-01", "gpt-4o"),
        ("2026-03-01", "echo"),
        ("2026-04-01", ""),
    ]


@pytest.mark.parametrize(
    ("bucket", "dates"),
    [
        ("week", ["2026-03-30", "2026-04-06"]),
        ("month", ["2026-03-01", "2026-04-01"]),
        ("day", [f"2026-03-{day}" for day in (30, 31)] + [f"2026-04-0{day}" for day in range(1, 9)]),
    ],
)
def test_trends_have_every_bucket(acme, bucket, dates):
    span = {"startDate": "2026-03-30T00:00:00Z", "endDate": "2026-04-09T00:00:00Z"}
    trends = acme.get("/v1/analytics/usage-trends", groupBy=bucket, **span).json()
    assert [line["date"] for line in trends["data"]] == dates
    assert sum(line["events"] for line in trends["data"]) == 3


def test_the_default_range_is_the_last_30_days():
    api = TenantApi()
    report(api.tenant, at=timezone.now())
    report(api.tenant, at=timezone.now() - timedelta(days=31))
    assert api.get("/v1/analytics/usage").json()["data"]["summary"]["totalEvents"] == 1


def test_a_range_is_widened_to_whole_hours():
    api = TenantApi()
    report(api.tenant, at=NOON)
    span = {"startDate": "2026-03-31T12:45:00Z", "endDate": "2026-03-31T12:50:00Z"}
    trends = api.get("/v1/analytics/usage-trends", **span).json()
    assert trends["period"]["startDate"] == "2026-03-31T12:00:00Z"
    assert trends["period"]["endDate"] == "2026-03-31T13:00:00Z"
    assert trends["data"][0]["events"] == 1


def test_the_run_out_is_projected_from_what_burns():
    api = TenantApi()
    services.deposit(api.user("alice"), 50 * NANO, source="d")
    for age in range(1, 11):
        report(api.tenant, "alice", at=timezone.now() - timedelta(days=age), amount=5 * NANO)
    rate = exact(api.get("/v1/analytics/burn-rate"))["data"]
    assert rate["currentBalance"] == "50000"
    assert rate["last30Days"]["creditsBurned"] == "50000"
    assert rate["projectedRunout"]["daysRemaining"] == 10
    assert (
        rate["projectedRunout"]["estimatedRunoutDate"]
        == (datetime.now(UTC).date() + timedelta(days=10)).isoformat()
    )
    forecast = exact(api.get("/v1/analytics/burn-forecast", days=12))
    assert forecast["averageDailyBurn"] == 5_000
    assert [line["projectedBalance"] for line in forecast["forecast"]][-3:] == [0, 0, 0]
    assert exact(api.get("/v1/analytics/burn-rate", userId="alice"))["data"] == rate


def test_a_user_without_a_wallet_has_no_burn_rate():
    assert TenantApi().get("/v1/analytics/burn-rate", userId="nobody").status_code == 404


def test_the_summary_is_of_all_wallets():
    api = TenantApi()
    services.deposit(api.user("alice"), 2 * NANO, source="d1")
    services.deposit(api.user("bob"), 3 * NANO, source="d2")
    report(api.tenant, "alice", at=timezone.now())
    report(api.tenant, "alice", at=timezone.now() - timedelta(days=400))
    summary = api.get("/v1/analytics/summary").json()
    assert summary["creditBalance"]["available"] == "5000"
    assert (summary["lifetime"]["events"], summary["last30Days"]["events"]) == (2, 1)
    assert [line["credits"] for line in summary["recentActivity"]] == ["3000", "2000"]


PATHS = ["usage", "costs", "cost-breakdown", "usage-trends", "burn-rate", "burn-forecast", "summary"]


@pytest.mark.parametrize("name", PATHS)
def test_no_answer_reads_a_raw_row(acme, name):
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert acme.get(f"/v1/analytics/{name}").status_code == 200
    statements = " ".join(query["sql"] for query in captured)
    assert "ledger_proxyrequest" not in statements
    assert "ledger_usageevent" not in statements


@pytest.mark.parametrize("name", PATHS)
def test_a_customer_reads_their_own(acme, name):
    stranger = TenantApi()
    answer = stranger.get(f"/v1/analytics/{name}")
    assert answer.status_code == 200
    for figure in ("0.000035", "gpt-4o", "search"):
        assert figure not in answer.content.decode()
    if name != "summary":
        named = stranger.get(f"/v1/analytics/{name}", customerId=str(acme.tenant.pk))
        assert named.status_code in (400, 403)


def test_a_key_without_the_scope_reads_nothing():
    assert TenantApi(scopes=("ingest",)).get("/v1/analytics/usage").status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        {"startDate": "yesterday"},
        {"startDate": "2026-05-01T00:00:00Z", "endDate": "2026-04-01T00:00:00Z"},
        {"startDate": "1990-01-01T00:00:00Z"},
        {"groupBy": "year"},
        {"provider": ","},
        {"paywallId": "mine"},
    ],
)
def test_a_wrong_question_is_told_what_to_change(query):
    answer = TenantApi().get("/v1/analytics/usage", **query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["message"]
    check_contract("get", "/v1/analytics/usage", answer)


def test_another_paywall_of_the_customer_is_in_the_figures_and_can_be_told_apart():
    api = TenantApi()
    other = make_paywall(api.tenant)
    ask(api.home)
    ask(other)
    assert api.get("/v1/analytics/usage", **RANGE).json()["data"]["summary"]["totalEvents"] == 2
    one = api.get("/v1/analytics/usage", paywallId=other.public_id, **RANGE).json()["data"]
    assert one["summary"]["totalEvents"] == 1
