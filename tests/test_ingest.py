"""Reported usage: kept once, rated, burned from the right wallet, in a few statements at any size."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.money import NANO
from ledger import services
from ledger.models import Account, BurnTable, Transfer, UsageEvent
from ledger.verification import verify
from paywalls.models import EndUser, ProviderCost, TierLimits
from tests.factories import make_tenant
from tests.tenants import TenantApi, event, exact
from webhooks import services as subscriptions
from webhooks.models import Event

pytestmark = pytest.mark.django_db

# gpt-4o-mini as shipped: $0.15 and $0.60 a million. 1,000 and 500 tokens are $0.00045, in credits: one.
ONE_CREDIT = NANO // 1_000


@pytest.fixture(autouse=True)
def _unhurried(settings):
    settings.RATE_LIMIT_PER_MINUTE = 0


@pytest.fixture
def api():
    return TenantApi()


def balance(**owner):
    return Account.objects.get(**owner).posted


def burn_table(api, rules, **settings):
    return BurnTable.objects.create(tenant=api.tenant, name="prices", version=1, rules=rules, **settings)


# --- What is accepted --------------------------------------------------------------------------------------


def test_an_event_is_kept_and_burns_its_users_wallet(api):
    services.deposit(api.user("alice"), NANO, source="d1")
    answer = api.ingest(event(user_id="alice"))
    assert answer.status_code == 202
    assert {**answer.json(), "batch_id": 0, "processing_time_ms": 0} == {
        "accepted": 1,
        "rejected": 0,
        "duplicates": 0,
        "batch_id": 0,
        "status": "accepted",
        "processing_time_ms": 0,
    }
    kept = UsageEvent.objects.get()
    assert (kept.state, kept.amount, kept.cost) == ("billed", ONE_CREDIT, 450_000)
    assert Transfer.objects.get(kind="burn").source == f"event:{kept.pk.hex}"
    assert balance(user__external_id="alice") == NANO - ONE_CREDIT


def test_the_team_pays_before_the_user_and_the_user_before_the_customer(api):
    api.ingest(event(team_id="red", user_id="alice"), event(user_id="alice"), event(), event(team_id="red"))
    assert balance(team__external_id="red") == -2 * ONE_CREDIT
    assert balance(user__external_id="alice") == -ONE_CREDIT
    assert balance(customer=api.tenant) == -ONE_CREDIT
    assert UsageEvent.objects.filter(team__external_id="red", user__external_id="alice").count() == 1


def test_users_that_nobody_has_seen_are_made_with_their_trial_credit(api):
    api.home.trial_credit = NANO
    api.home.save()
    api.ingest(event(user_id="alice"))
    assert EndUser.objects.get().paywall == api.home
    assert balance(user__external_id="alice") == NANO - ONE_CREDIT


def test_chat_and_reported_usage_burn_one_wallet(api):
    services.deposit(api.user("alice"), NANO, source="d")
    services.charge(api.user("alice"), NANO // 2, source="c")
    api.ingest(event(user_id="alice"))
    assert Account.objects.filter(user__external_id="alice").count() == 1
    assert balance(user__external_id="alice") == NANO // 2 - ONE_CREDIT


def test_a_late_event_counts_in_its_own_day(api):
    yesterday = datetime.now(UTC) - timedelta(days=40)
    api.ingest(event(timestamp=yesterday.isoformat()))
    assert UsageEvent.objects.get().timestamp == yesterday


# --- Once --------------------------------------------------------------------------------------------------


def test_a_batch_again_changes_nothing(api):
    events = [event(user_id="alice") for _ in range(3)]
    api.ingest(*events)
    answer = api.ingest(*events)
    assert answer.status_code == 200
    assert answer.json()["duplicates"] == 3
    assert (answer.json()["batch_id"], answer.json()["status"]) == (None, "all_duplicates")
    assert Transfer.objects.filter(kind="burn").count() == 3


def test_an_idempotency_key_counts_once_whatever_the_event_id(api):
    first = event(idempotency_key="order-1")
    answer = api.ingest(first, event(idempotency_key="order-1"), event(), first)
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (2, 2)
    assert api.ingest(event(idempotency_key="order-1")).status_code == 200


def test_two_customers_may_use_the_same_ids(api):
    one = event(idempotency_key="order-1")
    assert api.ingest(one).status_code == 202
    assert TenantApi().ingest(one).status_code == 202


# --- What is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"event_id": "42"}, "event_id"),
        ({"event_id": None}, "event_id"),
        ({"event_type": "SLEEP"}, "event_type"),
        ({"event_type": ["CUSTOM"]}, "event_type"),
        ({"feature_id": ""}, "feature_id"),
        ({"feature_id": None}, "feature_id"),
        ({"feature_id": "a\u0000b"}, "feature_id"),
        ({"provider": "ACME"}, "provider"),
        ({"provider": {}}, "provider"),
        ({"model": "x" * 129}, "model"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": True}, "input_tokens"),
        ({"output_tokens": 1.5}, "output_tokens"),
        ({"output_tokens": 2**53}, "output_tokens"),
        ({"image_count": 0}, "image_count"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "2"}, "quantity"),
        ({"unit_type": 5}, "unit_type"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-01-01T00:00:00"}, "timestamp"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "timestamp"),
        ({"timestamp": 5}, "timestamp"),
        ({"timestamp": None}, "timestamp"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x" * 129}, "user_id"),
        ({"team_id": 7}, "team_id"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "\u0000"}}, "metadata"),
        ({"metadata": {"a": "x" * 17_000}}, "metadata"),
        ({"idempotency_key": "x" * 256}, "idempotency_key"),
        ({"customer_id": 5}, "customer_id"),
        ({"input_tokens": None, "prompt_tokens": 7}, "prompt_tokens"),
        ({"output_tokens": None, "completionTokens": 0}, "completionTokens"),
        ({"output_tokens": None, "outputTokens": "many"}, "outputTokens"),
        (
            {"input_tokens": None, "output_tokens": None, "provider_response": {"usage": {}}},
            "provider_response",
        ),
    ],
)
def test_a_fault_is_named_by_index_and_field_and_nothing_is_taken(api, fields, field):
    answer = api.ingest(event(), event(**fields))
    assert answer.status_code == 400
    assert answer.json()["error"] == "validation_error"
    assert [(fault["index"], fault["field"]) for fault in answer.json()["details"]] == [(1, field)]
    assert not UsageEvent.objects.exists()


def test_tokens_under_another_apis_names_are_told_ours_and_never_free(api):
    """As an unknown member `prompt_tokens` was passed over, and the event burned nothing."""
    answer = api.ingest(event(input_tokens=None, output_tokens=None, prompt_tokens=7, completion_tokens=3))
    assert [(fault["field"], fault["message"]) for fault in answer.json()["details"]] == [
        ("prompt_tokens", "is not read; name it input_tokens"),
        ("completion_tokens", "is not read; name it output_tokens"),
    ]
    # Beside ours they are somebody's own notes.
    assert api.ingest(event(prompt_tokens=7, outputTokens=3)).status_code == 202


def test_all_faults_are_told_at_once(api):
    answer = api.ingest(event(event_id="x", feature_id=""), "event", event(timestamp=None))
    assert [(fault["index"], fault["field"]) for fault in answer.json()["details"]] == [
        (0, "event_id"),
        (0, "feature_id"),
        (1, ""),
        (2, "timestamp"),
    ]


@pytest.mark.parametrize("events", [[], None, {}, [event()] * 1_001])
def test_a_batch_has_one_to_a_thousand_events(api, events):
    answer = api.post("/v1/events/ingest", {"events": events})
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "events")


def test_an_event_of_another_customer_refuses_the_batch(api):
    other = make_tenant()
    answer = api.ingest(event(), event(customer_id=str(other.pk)))
    assert (answer.status_code, answer.json()["error"]) == (403, "another_customer")
    assert not UsageEvent.objects.exists()


def test_ones_own_id_and_ignored_are_fine(api):
    own = str(api.tenant.pk)
    assert api.ingest(event(customer_id=own), event(customer_id="ignored"), event()).status_code == 202


def test_an_absurd_count_is_no_charge(api):
    answer = api.ingest(event(input_tokens=2**53 - 1))
    assert (answer.status_code, answer.json()["details"][0]["index"]) == (400, 0)


def test_a_tier_takes_so_many_events_a_month(api):
    TierLimits.objects.create(tier="STARTER", monthly_events=3)
    assert api.ingest(event(), event()).status_code == 202
    answer = api.ingest(event(), event())
    assert (answer.status_code, answer.json()["error"]) == (429, "quota_exceeded")
    assert int(answer["Retry-After"]) > 0
    assert UsageEvent.objects.count() == 2
    assert api.ingest(event()).status_code == 202


# --- What it costs -----------------------------------------------------------------------------------------


def test_a_burn_table_says_what_an_event_burns_exactly(api):
    table = burn_table(api, {"gpt-4o-mini": {"inputTokens": 0.5, "outputTokens": 1.25, "perUnit": 1000}})
    api.ingest(event(user_id="alice", input_tokens=1_001, output_tokens=1))
    kept = UsageEvent.objects.get()
    assert kept.amount == 501_750  # (1001 x 0.5 + 1 x 1.25) / 1000 credits of a million nano-dollars
    assert (kept.cost, kept.burn_table) == (150_750, table.pk)
    assert exact(api.get("/v1/events"))["data"][0]["credits"] == Decimal("0.50175")


def test_the_star_is_for_models_without_a_rule_of_their_own(api):
    burn_table(api, {"*": {"inputTokens": 1, "outputTokens": 1, "perUnit": 1}})
    api.ingest(event(provider="MISTRAL", model="nobody-knows", input_tokens=2, output_tokens=3))
    assert UsageEvent.objects.get().amount == 5 * ONE_CREDIT


def test_images_seconds_and_events_have_rules(api):
    rules = {"*": {"inputTokens": 0, "outputTokens": 0, "images": 40, "units": {"second": 2.5}, "event": 1}}
    burn_table(api, rules)
    api.ingest(
        event(event_type="IMAGE_GENERATION", image_count=2, input_tokens=None, output_tokens=None),
        event(
            event_type="VIDEO_GENERATION", unit_type="second", quantity=1.5, input_tokens=0, output_tokens=0
        ),
        event(event_type="FEATURE_ACCESS", model=None, provider=None, input_tokens=0, output_tokens=0),
    )
    burned = UsageEvent.objects.order_by("id").values_list("amount", flat=True)
    assert [amount / ONE_CREDIT for amount in burned] == [81, 4.75, 1]


def test_a_table_holds_for_the_time_that_it_says(api):
    burn_table(
        api,
        {"*": {"inputTokens": 1, "outputTokens": 1, "perUnit": 1}},
        valid_from=datetime(2026, 3, 1, tzinfo=UTC),
        valid_until=datetime(2026, 4, 1, tzinfo=UTC),
    )
    for moment in (
        "2026-02-28T23:59:59Z",
        "2026-03-01T00:00:00Z",
        "2026-03-31T23:59:59Z",
        "2026-04-01T00:00:00Z",
    ):
        api.ingest(event(timestamp=moment))
    rated = UsageEvent.objects.order_by("id").values_list("amount", flat=True)
    assert [amount // ONE_CREDIT for amount in rated] == [1, 1_500, 1_500, 1]


def test_an_operators_cost_goes_before_the_shipped_one(api):
    ProviderCost.objects.create(
        provider="OPENAI", model="gpt-4o-mini", prompt_cost=NANO, completion_cost=2 * NANO
    )
    api.ingest(event())
    assert (UsageEvent.objects.get().cost, UsageEvent.objects.get().amount) == (2_000_000, 2 * ONE_CREDIT)


RESPONSES = [
    (
        {
            "model": "gpt-4o-mini",
            "usage": {
                "prompt_tokens": 1_000,
                "completion_tokens": 500,
                "prompt_tokens_details": {"cached_tokens": 400},
            },
        },
        ("OPENAI", "gpt-4o-mini", 600, 400, 0, 500),
    ),
    (
        {
            "type": "message",
            "model": "claude-3-5-haiku-latest",
            "usage": {
                "input_tokens": 600,
                "output_tokens": 500,
                "cache_read_input_tokens": 400,
                "cache_creation_input_tokens": 50,
            },
        },
        ("ANTHROPIC", "claude-3-5-haiku-latest", 600, 400, 50, 500),
    ),
    (
        {
            "modelVersion": "gemini-2.0-flash",
            "usageMetadata": {
                "promptTokenCount": 1_000,
                "cachedContentTokenCount": 400,
                "candidatesTokenCount": 300,
                "thoughtsTokenCount": 200,
            },
        },
        ("GOOGLE", "gemini-2.0-flash", 600, 400, 0, 500),
    ),
    (
        {"object": "response", "model": "gpt-4o-mini", "usage": {"input_tokens": 10, "output_tokens": 5}},
        ("OPENAI", "gpt-4o-mini", 10, 0, 0, 5),
    ),
]


@pytest.mark.parametrize(
    ("response", "expected"), RESPONSES, ids=["openai", "anthropic", "gemini", "responses"]
)
def test_the_usage_in_a_providers_answer_is_read(api, response, expected):
    nothing = {"provider": None, "model": None, "input_tokens": None, "output_tokens": None}
    assert api.ingest(event(**nothing, provider_response=response)).status_code == 202
    kept = UsageEvent.objects.get()
    assert expected == (
        kept.provider,
        kept.model,
        kept.input_tokens,
        kept.cache_read_tokens,
        kept.cache_write_tokens,
        kept.output_tokens,
    )


def test_what_has_no_price_is_kept_and_billed_when_there_is_one(api):
    api.ingest(
        event(model="nobody-knows", user_id="alice"), event(model=None, input_tokens=0, output_tokens=0)
    )
    states = set(UsageEvent.objects.values_list("state", "amount"))
    assert states == {("unrated", None), ("free", 0)}
    services.deposit(api.user("alice"), NANO, source="d")
    assert exact(api.post("/v1/events/bill"))["data"] == {"billed": 0, "credits": 0, "waiting": 1}
    burn_table(api, {"*": {"inputTokens": 1, "outputTokens": 0}})
    assert exact(api.post("/v1/events/bill"))["data"] == {"billed": 1, "credits": 1, "waiting": 0}
    assert balance(user__external_id="alice") == NANO - ONE_CREDIT


# --- What a wallet can't cover -----------------------------------------------------------------------------


def test_a_wallet_goes_into_debt_by_default(api):
    api.ingest(event(user_id="alice"))
    assert balance(user__external_id="alice") == -ONE_CREDIT
    assert UsageEvent.objects.get().state == "billed"


@pytest.mark.django_db(transaction=True)
def test_a_tenant_may_keep_what_is_not_covered_and_bill_it_later():
    api = TenantApi(make_tenant(uncovered_usage="unbilled"))
    services.deposit(api.user("alice"), ONE_CREDIT, source="d1")
    api.ingest(*(event(user_id="alice") for _ in range(3)))
    assert sorted(UsageEvent.objects.values_list("state", flat=True)) == ["billed", "unbilled", "unbilled"]
    assert balance(user__external_id="alice") == 0
    assert list(verify()) == []
    services.deposit(api.user("alice"), ONE_CREDIT, source="d2")
    assert exact(api.post("/v1/events/bill"))["data"] == {"billed": 1, "credits": 1, "waiting": 1}
    assert balance(user__external_id="alice") == 0


# --- The list ----------------------------------------------------------------------------------------------


def test_the_list_of_events_goes_on_where_it_stopped(api):
    api.ingest(*(event(metadata={"n": n}) for n in range(5)))
    seen, query = [], {"limit": 2}
    while True:
        page = api.get("/v1/events", **query).json()
        seen += [kept["metadata"]["n"] for kept in page["data"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == [4, 3, 2, 1, 0]


def test_events_are_found_by_who_and_what(api):
    api.ingest(event(user_id="alice"), event(team_id="red"), event(feature_id="search", model="gpt-4o"))
    for query in ({"userId": "alice"}, {"teamId": "red"}, {"featureId": "search"}, {"model": "gpt-4o"}):
        assert len(api.get("/v1/events", **query).json()["data"]) == 1
    assert api.get("/v1/events", to="2020-01-01T00:00:00Z").json()["data"] == []
    assert api.get("/v1/events", limit=0).status_code == 400


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 1),
        (timedelta(minutes=-1), timedelta(minutes=1), 1),
        (timedelta(minutes=1), timedelta(days=1), 0),
        (timedelta(days=-1), timedelta(minutes=-1), 0),
    ],
)
def test_events_are_found_by_when_they_were_taken_in(api, since, until, found):
    api.ingest(event(timestamp="2026-01-31T12:00:00Z"))
    now = timezone.now()
    times = [at if isinstance(at, str) else (now + at).isoformat() for at in (since, until)]
    answer = api.get("/v1/events", **dict(zip(("from", "to"), times, strict=True)))
    assert len(answer.json()["data"]) == found


# --- Cost --------------------------------------------------------------------------------------------------


def test_a_thousand_events_take_as_many_statements_as_ten(api):
    def statements(size):
        users = [f"user-{n % 50}" for n in range(size)]
        events = [event(user_id=user, team_id="red" if n % 7 == 0 else None) for n, user in enumerate(users)]
        with CaptureQueriesContext(connection) as captured:
            assert api.ingest(*events).json()["accepted"] == size
        return len(captured)

    api.ingest(*(event(user_id=f"user-{n}", team_id="red") for n in range(50)))
    assert statements(10) == statements(1_000) < 25


def test_wallets_are_locked_only_when_the_events_are_in(api):
    with CaptureQueriesContext(connection) as captured:
        api.ingest(event(user_id="alice"))
    texts = [query["sql"] for query in captured]
    [inserted] = [n for n, text in enumerate(texts) if "INSERT INTO ledger_usageevent" in text]
    [locked] = [n for n, text in enumerate(texts) if "FOR NO KEY UPDATE" in text]
    assert inserted < locked


@pytest.mark.django_db(transaction=True)
def test_the_books_sum_afterwards(api):
    api.ingest(
        *(event(user_id=f"user-{n % 3}", team_id="red" if n % 2 else None) for n in range(20)), event()
    )
    assert list(verify()) == []


# --- What the tenant is told -------------------------------------------------------------------------------


def test_debt_is_told_once_by_the_tenants_home(api):
    services.deposit(api.user("alice"), ONE_CREDIT, source="d")
    subscriptions.create(api.home.pk, url="https://hooks.acme.test/in", events=["*"])
    api.ingest(*(event(user_id="alice") for _ in range(3)), event(team_id="red"), event())
    told = Counter(Event.objects.values_list("type", flat=True))
    assert told == {"paywall.usage.charge.created": 5, "paywall.balance.depleted": 3}
    bodies = [orjson.loads(bytes(one.body)) for one in Event.objects.filter(type="paywall.balance.depleted")]
    owners = {body["data"]["walletUserId"].partition("_")[0] for body in bodies}
    assert owners == {"usr", "team", "ten"}
