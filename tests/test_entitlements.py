"""Entitlements: limits that are kept, told and held, also where everybody asks at once."""

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from config.db import in_thread
from config.money import NANO
from ledger import services
from ledger.analytics import rollups
from ledger.entitlements import rules, windows
from ledger.entitlements.consuming import read
from ledger.entitlements.rules import Facts, Limit, Wallet, decide
from ledger.entitlements.windows import Counter
from ledger.models import Account, BurnTable, Entitlement, FeatureUsage, Lot, TopUpLink
from paywalls import tenantkeys
from paywalls.models import EndUser, ProviderCost
from proxy import asgi
from proxy.gateway import Gateway
from tests.tenants import TenantApi, check_contract, event
from tests.threads import in_threads

pytestmark = pytest.mark.django_db
# Where others than the test's own connection look.
committed = pytest.mark.django_db(transaction=True)

TOKENS = {"type": "token_usage"}


@pytest.fixture(autouse=True)
def _unlimited(settings):
    settings.RATE_LIMIT_PER_MINUTE = 0


@pytest.fixture
def acme():
    """A customer whose user alice has $5."""
    api = TenantApi()
    services.deposit(api.user("alice"), 5 * NANO, source=f"d:{uuid.uuid4()}")
    return api


def limit(api, **fields):
    asked = {"featureId": "search", "limitType": "HARD", "limitValue": 2, "period": "DAILY", **fields}
    return api.post("/v1/entitlements", asked)


def consume(api, user="alice", **fields):
    return api.post("/v1/entitlements/consume", {"userId": user, "featureId": "search", **fields})


class Answer:
    """An answer of the plain ASGI side, as the contract's check reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self.status_code = response.status_code
        self.content = response.content
        self.headers = response.headers

    def json(self) -> Any:
        return httpx.Response(200, content=self.content).json()


def ask(*questions, key):
    """The answers of the gateway to these checks, asked at once."""

    async def run():
        gateway = Gateway()

        async def app(scope, receive, send):
            found = asgi.route(scope)
            assert found
            await asgi.serve(gateway, *found, scope, receive, send)

        try:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://tollgate"
            ) as client:
                sent = (
                    client.post(
                        "/v1/entitlements/check", json=question, headers={"Authorization": f"Bearer {key}"}
                    )
                    for question in questions
                )
                return await asyncio.gather(*sent)
        finally:
            await gateway.close()

    answers = [Answer(response) for response in asyncio.run(run())]
    for answer in answers:
        check_contract("post", "/v1/entitlements/check", answer)
    return answers


def check(api, user="alice", feature="search", **action):
    question = {"userId": user, "featureId": feature, "action": {**TOKENS, **action}}
    [answer] = ask(question, key=api.plain)
    assert answer.status_code == 200, answer.content
    return answer.json()


@committed
def test_where_a_team_pays_its_wallet_is_looked_at():
    api = TenantApi()
    question = {"userId": "alice", "teamId": "red", "featureId": "search", "action": TOKENS}
    [nobody] = ask(question, key=api.plain)
    assert (nobody.json()["reason"], nobody.json()["actions"]) == ("The team has no wallet.", [])
    assert consume(api, teamId="red").json()["reason"] == "The team has no wallet."
    grant = {"amount": 7, "teamId": "red", "description": "for the team", "idempotencyKey": "g"}
    assert api.post("/v1/credits/grant", grant).status_code == 200
    [team, alone] = ask(question, {**question, "teamId": None}, key=api.plain)
    assert (team.json()["allowed"], team.json()["currentBalance"]) == (True, 7)
    assert alone.json()["reason"] == "The user has no wallet."
    assert limit(api, limitValue=1).status_code == 201
    assert consume(api, teamId="red").json()["allowed"]
    assert consume(api, teamId="red").json()["reason"] == "Usage limit of 1 reached"
    other = TenantApi()
    assert ask(question, key=other.plain)[0].json()["reason"] == "The team has no wallet."


# --- The rules ---------------------------------------------------------------------------------------------

TODAY = date(2026, 3, 31)
RICH = Wallet(10 * NANO)


@pytest.mark.parametrize(
    ("facts", "cost", "allowed", "reason", "remedy"),
    [
        (Facts(TODAY), 0, False, "The user has no wallet.", "create_wallet"),
        (
            Facts(TODAY, wallet=Wallet(0, expired=True)),
            0,
            False,
            "The user's credits have expired.",
            "purchase",
        ),
        (Facts(TODAY, wallet=RICH), 0, True, None, None),
        (Facts(TODAY, wallet=RICH), 11 * NANO, False, "Not enough credits.", "purchase"),
        (Facts(TODAY, wallet=Wallet(-1)), 0, False, "Not enough credits.", "purchase"),
        (Facts(TODAY, Limit("HARD", 3, "DAILY"), Counter(TODAY, 2, 9, 9), RICH), 0, True, None, None),
        (
            Facts(TODAY, Limit("HARD", 3, "DAILY"), Counter(TODAY, 3, 9, 9), RICH),
            11 * NANO,
            False,
            "Usage limit of 3 reached",
            None,
        ),
        (
            Facts(TODAY, Limit("SOFT", 3, "MONTHLY"), Counter(TODAY, 0, 3, 9), RICH),
            0,
            True,
            "Usage limit of 3 reached",
            None,
        ),
        (
            Facts(TODAY, Limit("SOFT", 3, "MONTHLY"), Counter(TODAY, 0, 3, 9), RICH),
            11 * NANO,
            False,
            "Not enough credits.",
            "purchase",
        ),
        (Facts(TODAY, Limit("HARD", 0, "TOTAL"), wallet=RICH), 0, False, "Usage limit of 0 reached", None),
        (Facts(TODAY, Limit("NONE", None, "TOTAL"), Counter(TODAY, 5, 5, 5), RICH), 0, True, None, None),
    ],
)
def test_the_order_of_reasons(facts, cost, allowed, reason, remedy):
    verdict = decide(facts, cost=cost)
    assert (verdict.allowed, verdict.reason, verdict.remedy) == (allowed, reason, remedy)


@pytest.mark.parametrize(
    ("period", "today", "used", "resets"),
    [
        ("DAILY", date(2026, 3, 31), 1, datetime(2026, 4, 1, tzinfo=UTC)),
        ("DAILY", date(2026, 4, 1), 0, datetime(2026, 4, 2, tzinfo=UTC)),
        ("MONTHLY", date(2026, 3, 31), 5, datetime(2026, 4, 1, tzinfo=UTC)),
        ("MONTHLY", date(2026, 4, 1), 0, datetime(2026, 5, 1, tzinfo=UTC)),
        ("MONTHLY", date(2027, 3, 31), 0, datetime(2027, 4, 1, tzinfo=UTC)),
        ("TOTAL", date(2027, 3, 31), 7, None),
    ],
)
def test_windows(period, today, used, resets):
    counter = Counter(date(2026, 3, 31), 1, 5, 7)
    assert windows.used(counter, period, today) == used
    assert windows.resets_at(period, today) == resets


def test_december_resets_in_january():
    assert windows.resets_at("MONTHLY", date(2026, 12, 31)) == datetime(2027, 1, 1, tzinfo=UTC)


def test_every_limit_type_has_a_rule():
    assert {rules.HARD, rules.SOFT, rules.NONE} == set(Entitlement.LimitType)


# --- Kept --------------------------------------------------------------------------------------------------


def test_an_entitlement_is_made_listed_changed_and_removed():
    api = TenantApi()
    made = limit(api, metadata={"plan": "gold"}, limitValue=5.0).json()["data"]
    assert made["limitValue"] == 5
    assert api.get("/v1/entitlements").json()["data"] == [made]
    changed = api.send("put", f"/v1/entitlements/{made['id']}", {"limitType": "SOFT"}).json()["data"]
    assert changed == {**made, "limitType": "SOFT"}
    assert api.send("delete", f"/v1/entitlements/{made['id']}").status_code == 204
    assert api.get("/v1/entitlements").json()["data"] == []
    assert api.send("delete", f"/v1/entitlements/{made['id']}").status_code == 404


def test_none_has_no_value_and_total_is_the_default():
    made = limit(TenantApi(), limitType="NONE", limitValue=7, period=None).json()["data"]
    assert (made["limitValue"], made["period"]) == (None, "TOTAL")


def test_one_entitlement_for_a_user_and_feature():
    api = TenantApi()
    limit(api)
    assert limit(api, userId="alice").status_code == 201
    again = limit(api)
    assert (again.status_code, again.json()["error"]) == (400, "entitlement_exists")
    assert limit(TenantApi()).status_code == 201


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"limitValue": None}, "limitValue"),
        ({"limitValue": -1}, "limitValue"),
        ({"limitValue": 1.5}, "limitValue"),
        ({"limitValue": 1e300}, "limitValue"),
        ({"limitValue": "5"}, "limitValue"),
        ({"limitValue": True}, "limitValue"),
        ({"limitType": "FIRM"}, "limitType"),
        ({"period": "WEEKLY"}, "period"),
        ({"featureId": ""}, "featureId"),
        ({"featureId": "a\0"}, "featureId"),
        ({"userId": ""}, "userId"),
        ({"metadata": {"a": "\0"}}, "metadata"),
    ],
)
def test_what_is_wrong_with_an_entitlement_is_named(fields, field):
    answer = limit(TenantApi(), **fields)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(field)


def test_another_customers_entitlement_is_not_there():
    api, stranger = TenantApi(), TenantApi()
    path = f"/v1/entitlements/{limit(api).json()['data']['id']}"
    assert stranger.get("/v1/entitlements").json()["data"] == []
    assert stranger.send("put", path, {"limitType": "NONE"}).status_code == 404
    assert stranger.send("delete", path).status_code == 404
    assert Entitlement.objects.get().limit_type == "HARD"


# --- Consumed ----------------------------------------------------------------------------------------------


def test_a_hard_limit_is_counted_and_held(acme):
    limit(acme)
    first, second, third = (consume(acme).json() for _ in range(3))
    assert (first["allowed"], first["usage"], first["remaining"]) == (True, 1, 1)
    assert (second["allowed"], second["usage"], second["remaining"]) == (True, 2, 0)
    assert (third["allowed"], third["reason"], third["usage"]) == (False, "Usage limit of 2 reached", 2)
    tomorrow = timezone.now().date() + timedelta(days=1)
    assert third["resetAt"] == f"{tomorrow}T00:00:00Z"


@committed
@pytest.mark.parametrize("user_id", [None, "alice"])
def test_a_hard_limit_holds_where_everybody_asks_at_once(acme, user_id):
    limit(acme, limitValue=5, **({"userId": user_id} if user_id else {}))
    answers = in_threads(16, lambda _: consume(acme).json()["allowed"])
    assert answers.count(True) == 5
    assert FeatureUsage.objects.get().total_used == 5


def test_units_are_counted_whole_or_not_at_all(acme):
    limit(acme, limitValue=5)
    assert consume(acme, units=4).json()["allowed"]
    assert not consume(acme, units=2).json()["allowed"]
    assert consume(acme, units=1).json()["remaining"] == 0


@committed
def test_a_key_counts_once_also_at_once(acme):
    limit(acme)
    answers = in_threads(8, lambda _: consume(acme, idempotencyKey="k").json())
    assert all(answer == answers[0] for answer in answers)
    assert FeatureUsage.objects.get().total_used == 1


@pytest.mark.parametrize("other", [{"units": 2}, {"featureId": "chat"}, {"userId": "bob"}])
def test_a_key_of_another_use_is_refused(acme, other):
    services.deposit(acme.user("bob"), NANO, source="d:bob")
    consume(acme, idempotencyKey="k")
    answer = consume(acme, **{"user": other.pop("userId", "alice"), "idempotencyKey": "k", **other})
    assert (answer.status_code, answer.json()["error"]) == (422, "idempotency_key_reused")


def test_a_refusal_claims_no_key(acme):
    made = limit(acme, limitValue=0).json()["data"]
    assert not consume(acme, idempotencyKey="k").json()["allowed"]
    acme.send("put", f"/v1/entitlements/{made['id']}", {"limitValue": 1})
    assert consume(acme, idempotencyKey="k").json()["allowed"]


def test_the_event_that_reports_a_consumed_use_is_not_counted_again(acme):
    by_id, by_key, unseen = (event(user_id="alice", feature_id="search") for _ in range(3))
    consume(acme, idempotencyKey=by_id["event_id"])
    consume(acme, idempotencyKey="mine")
    by_key["idempotency_key"] = "mine"
    assert acme.ingest(by_id, by_key, unseen).status_code == 202
    assert read(acme.tenant.pk, "alice", "search").counter.total_used == 3
    rollups.roll_up()
    assert read(acme.tenant.pk, "alice", "search").counter.total_used == 3
    assert FeatureUsage.objects.get().total_used == 3


def test_a_use_counts_in_its_own_window_before_a_roll_up_and_after(acme):
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    used = [event(user_id="alice", feature_id="search", timestamp=at) for at in (yesterday, yesterday)]
    acme.ingest(*used, event(user_id="alice", feature_id="search"))
    before = read(acme.tenant.pk, "alice", "search")
    assert (before.counter.day, before.counter.day_used, before.counter.total_used) == (before.today, 1, 3)
    rollups.roll_up()
    assert read(acme.tenant.pk, "alice", "search") == before
    acme.ingest(event(user_id="alice", feature_id="search"))
    both = read(acme.tenant.pk, "alice", "search").counter
    assert (both.day_used, both.total_used) == (2, 4)


def test_a_users_own_entitlement_beats_everybodys(acme):
    limit(acme, limitValue=0)
    limit(acme, limitValue=1, userId="alice")
    services.deposit(acme.user("bob"), NANO, source="d:bob")
    assert consume(acme).json()["allowed"]
    assert not consume(acme, "bob").json()["allowed"]


@pytest.mark.parametrize(
    "fields", [{"units": 0}, {"units": "many"}, {"idempotencyKey": "\n"}, {"action": {}}]
)
def test_what_is_wrong_with_a_consume_is_named(acme, fields):
    answer = consume(acme, **fields)
    assert answer.status_code == 400
    assert next(iter(fields)) in answer.json()["message"]


def test_to_consume_is_to_report(acme):
    reader = TenantApi(acme.tenant, scopes=("read",))
    assert consume(reader).status_code == 403


# --- Checked -----------------------------------------------------------------------------------------------


@committed
def test_a_check_advises_and_counts_nothing(acme):
    limit(acme)
    consume(acme)
    for _ in range(2):
        told = check(acme)
        assert (told["allowed"], told["usage"], told["limit"], told["remaining"]) == (True, 1, 2, 1)
    assert told["currentBalance"] == 5_000
    consume(acme)
    assert check(acme)["reason"] == "Usage limit of 2 reached"


@committed
def test_reported_events_count(acme):
    limit(acme, limitType="SOFT", limitValue=1, period="TOTAL")
    acme.ingest(event(user_id="alice", feature_id="search"))
    told = check(acme)
    assert (told["allowed"], told["reason"], told["resetAt"]) == (True, "Usage limit of 1 reached", None)


@committed
def test_who_has_no_wallet_gets_a_link_that_opens_one():
    api = TenantApi()
    told = check(api, "nobody")
    assert (told["allowed"], told["currentBalance"]) == (False, None)
    [action] = told["actions"]
    assert action["type"] == "create_wallet"
    assert EndUser.objects.get().external_id == "nobody"
    assert not Account.objects.filter(kind="wallet").exists()
    assert TopUpLink.objects.get().user.external_id == "nobody"
    assert check(api, "nobody")["actions"] == [action]


@committed
@pytest.mark.parametrize("swept", [False, True])
def test_expired_credits_are_told_before_and_after_they_are_taken(swept):
    api = TenantApi()
    services.grant(api.user("alice"), NANO, source="g", expires_at=timezone.now() + timedelta(days=1))
    past = timezone.now() - timedelta(seconds=1)
    Lot.objects.update(expires_at=past)
    Account.objects.filter(kind="wallet").update(next_expiry=past)
    if swept:
        services.expire_credits()
    told = check(api)
    assert told["reason"] == "The user's credits have expired."
    assert told["currentBalance"] == 0
    assert told["actions"][0]["type"] == "purchase"


@committed
def test_credit_that_has_expired_does_not_count_beside_credit_that_has_not(acme):
    services.grant(acme.user("alice"), NANO, source="g", expires_at=timezone.now() + timedelta(days=1))
    past = timezone.now() - timedelta(seconds=1)
    Lot.objects.filter(kind="granted").update(expires_at=past)
    Account.objects.filter(kind="wallet").update(next_expiry=past)
    assert check(acme)["currentBalance"] == 5_000


@committed
def test_the_estimate_is_the_price_that_the_event_will_have(acme):
    ProviderCost.objects.create(
        provider="OPENAI", model="house", prompt_cost=2_000 * NANO, completion_cost=10_000 * NANO
    )
    action = {"provider": "openai", "model": "house", "estimated_input_tokens": 1_000}
    told = check(acme, **action)
    assert (told["estimatedCostCredits"], told["estimatedCostUsd"], told["allowed"]) == (2_000, 2, True)
    told = check(acme, **action, estimated_output_tokens=1_000)
    assert (told["estimatedCostCredits"], told["allowed"], told["reason"]) == (
        12_000,
        False,
        "Not enough credits.",
    )
    assert told["actions"][0]["url"].startswith("http")
    assert consume(acme, action={**TOKENS, **action}).json()["estimatedCostCredits"] == 2_000


@committed
def test_a_changed_burn_table_prices_the_very_next_check(acme):
    table = BurnTable.objects.create(
        tenant=acme.tenant, name="v1", version=1, rules={"*": {"inputTokens": 1, "outputTokens": 1}}
    )
    question = {
        "userId": "alice",
        "featureId": "search",
        "action": {**TOKENS, "model": "any", "estimated_input_tokens": 2_000},
    }

    async def run():
        gateway = Gateway()
        try:
            found = []
            for credits in (1, 7):
                rule = {"*": {"inputTokens": credits, "outputTokens": 1}}
                await in_thread(BurnTable.objects.filter(pk=table.pk).update, rules=rule)

                async def app(scope, receive, send):
                    await asgi.serve(gateway, *asgi.route(scope), scope, receive, send)

                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://tollgate") as client:
                    headers = {"X-API-Key": acme.plain}
                    answer = await client.post("/v1/entitlements/check", json=question, headers=headers)
                    found.append(answer.json()["estimatedCostCredits"])
            return found
        finally:
            await gateway.close()

    assert asyncio.run(run()) == [2, 14]


@committed
def test_an_unknown_model_has_no_estimate(acme):
    told = check(acme, model="nobody-knows", estimated_input_tokens=10)
    assert (told["allowed"], told["estimatedCostCredits"], told["estimatedCostUsd"]) == (True, None, None)


@committed
def test_many_checks_at_once_get_each_their_own_answer(acme):
    for number in range(20):
        limit(acme, featureId=f"f{number}", limitValue=number)
    questions = [{"userId": "alice", "featureId": f"f{n}", "action": TOKENS} for n in range(20)]
    answers = ask(*questions, key=acme.plain)
    assert [answer.json()["limit"] for answer in answers] == list(range(20))


@committed
def test_a_key_that_is_revoked_checks_nothing_more(acme):
    question = {"userId": "alice", "featureId": "search", "action": TOKENS}
    assert ask(question, key=acme.plain)[0].status_code == 200
    acme.key.refresh_from_db()
    assert acme.key.last_used_at is not None
    tenantkeys.revoke(acme.key)
    assert ask(question, key=acme.plain)[0].status_code == 401
    assert ask(question, key="")[0].status_code == 401
    reporter = TenantApi(acme.tenant, scopes=("ingest",))
    assert ask(question, key=reporter.plain)[0].status_code == 403


@committed
def test_another_customers_users_and_limits_are_not_seen(acme):
    limit(acme, limitValue=0)
    stranger = TenantApi()
    services.deposit(stranger.user("alice"), NANO, source="d:stranger")
    told = check(stranger)
    assert (told["allowed"], told["limit"], told["currentBalance"]) == (True, None, 1_000)


@committed
def test_checks_count_in_the_keys_minute(acme, settings):
    settings.RATE_LIMIT_PER_MINUTE = 2
    question = {"userId": "alice", "featureId": "search", "action": TOKENS}
    answers = ask(question, question, question, key=acme.plain)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
    [refused] = [answer for answer in answers if answer.status_code == 429]
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["x-ratelimit-remaining"] == "0"


@committed
def test_what_is_wrong_with_a_check_is_named(acme):
    wrong = [
        ({"featureId": "f", "action": TOKENS}, "userId"),
        ({"userId": "", "featureId": "f", "action": TOKENS}, "userId"),
        ({"userId": 5, "featureId": "f", "action": TOKENS}, "userId"),
        ({"userId": "a" * 129, "featureId": "f", "action": TOKENS}, "userId"),
        ({"userId": "a", "featureId": "\0", "action": TOKENS}, "featureId"),
        ({"userId": "a", "featureId": "f"}, "action"),
        ({"userId": "a", "featureId": "f", "action": {"type": "chat"}}, "action.type"),
        ({"userId": "a", "featureId": "f", "action": {**TOKENS, "estimated_input_tokens": -1}}, "action."),
        ({"userId": "a", "featureId": "f", "action": {**TOKENS, "model": []}}, "action.model"),
        ([], "body"),
    ]
    answers = ask(*(question for question, _ in wrong), key=acme.plain)
    for answer, (_, field) in zip(answers, wrong, strict=True):
        assert answer.status_code == 400
        assert answer.json()["details"][0]["field"].startswith(field)
