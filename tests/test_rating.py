"""Prices: calculated, listed, and made by a tenant's burn tables."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.money import NANO
from ledger.models import BurnTable
from ledger.rating import rules
from ledger.rating.rating import whole_credits
from paywalls.models import ProviderCost
from tests.tenants import TenantApi, event, exact

RULES = {"gpt-4o": {"inputTokens": 2.5, "outputTokens": 10}, "*": {"inputTokens": 1, "outputTokens": 2}}
TABLES = "/v1/burn-tables"
MINI = {"provider": "OPENAI", "model": "gpt-4o-mini", "inputTokens": 1_000, "outputTokens": 500}


@pytest.fixture
def api(db, settings):
    settings.RATE_LIMIT_PER_MINUTE = 0
    return TenantApi()


def iso(**ahead):
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


# --- Calculating -------------------------------------------------------------------------------------------


def test_without_a_burn_table_it_is_the_cost_rounded_up_to_a_credit(api):
    answer = exact(api.post("/v1/rating/calculate", MINI))
    assert answer == {"cost": Decimal("0.00045"), "currency": "USD", "credits": 1}


def test_a_burn_table_says_the_credits_and_the_catalogue_the_cost(api):
    api.post(TABLES, name="mine", rules=RULES)
    answer = exact(api.post("/v1/rating/calculate", MINI))
    assert answer == {"cost": Decimal("0.00045"), "currency": "USD", "credits": 2}


def test_an_unknown_model_is_not_found_until_somebody_prices_it(api):
    unknown = {**MINI, "model": "nobody-knows"}
    assert api.post("/v1/rating/calculate", unknown).status_code == 404
    api.post(TABLES, name="mine", rules=RULES)
    assert exact(api.post("/v1/rating/calculate", unknown))["credits"] == 2


@pytest.mark.parametrize(
    "fields", [{"provider": "ACME"}, {"model": ""}, {"inputTokens": -1}, {"outputTokens": None}]
)
def test_what_cant_be_calculated_is_refused(api, fields):
    assert api.post("/v1/rating/calculate", {**MINI, **fields}).status_code == 400


def test_many_are_calculated_in_order(api):
    answer = exact(
        api.post("/v1/rating/calculate/bulk", calculations=[MINI, {**MINI, "model": "nobody-knows"}, MINI])
    )
    assert [one["error"] for one in answer["results"]] == [None, "unknown_model", None]
    assert (answer["total"], answer["totalCost"], answer["totalCredits"]) == (3, Decimal("0.0009"), 2)
    assert api.post("/v1/rating/calculate/bulk", calculations=[MINI] * 101).status_code == 400


def test_the_catalogue_has_the_operators_word_first(api):
    ProviderCost.objects.create(
        provider="OPENAI", model="gpt-4o-mini", prompt_cost=NANO, completion_cost=NANO
    )
    ProviderCost.objects.create(provider="OPENAI", model="house", prompt_cost=1, completion_cost=0)
    answer = exact(api.get("/v1/rating/pricing"))
    listed = {(one["provider"], one["model"]): one for one in answer["data"]}
    assert answer["total"] == len(listed) > 50
    assert (listed["OPENAI", "gpt-4o-mini"]["inputCost"], listed["OPENAI", "gpt-4o-mini"]["costSource"]) == (
        1,
        "operator",
    )
    assert listed["OPENAI", "house"]["inputCost"] == Decimal("0.000000001")
    assert listed["OPENAI", "gpt-4o"]["costSource"] == "genai-prices"


# --- Burn tables -------------------------------------------------------------------------------------------


def test_a_new_version_deactivates_the_last(api):
    assert api.get(f"{TABLES}/active").json()["isDefault"] is True
    first = api.post(TABLES, name="first", rules=RULES).json()["data"]
    second = api.post(TABLES, name="second", rules=RULES).json()["data"]
    assert (first["version"], second["version"]) == (1, 2)
    active = api.get(f"{TABLES}/active").json()
    assert (active["data"]["id"], active["isDefault"]) == (second["id"], False)
    assert [one["name"] for one in api.get(TABLES, isActive="true").json()["data"]] == ["second"]
    assert api.get(TABLES).json()["total"] == 2


def test_a_version_that_begins_later_lets_the_last_go_on_until_then(api):
    first = api.post(TABLES, name="first", rules=RULES).json()["data"]
    later = api.post(TABLES, name="later", rules=RULES, validFrom=iso(days=1)).json()["data"]
    assert api.get(f"{TABLES}/active").json()["data"]["id"] == first["id"]
    ended = api.get(f"{TABLES}/{first['id']}").json()["data"]
    assert (ended["isActive"], ended["validUntil"]) == (True, later["validFrom"])


def test_new_rules_are_a_new_version_of_the_same_table(api):
    table = api.post(TABLES, name="mine", rules=RULES).json()["data"]
    path = f"{TABLES}/{table['id']}"
    changed = api.send("patch", path, {"rules": {"*": {"inputTokens": 9, "outputTokens": 9}}}).json()["data"]
    assert (changed["id"], changed["version"]) == (table["id"], 2)
    assert api.send("patch", path, {"name": "renamed"}).json()["data"]["version"] == 2


def test_one_is_deactivated_and_activated_again(api):
    table = api.post(TABLES, name="mine", rules=RULES).json()["data"]
    other = api.post(TABLES, name="other", rules=RULES).json()["data"]
    path = f"{TABLES}/{table['id']}"
    assert api.send("patch", path, {"isActive": True}).json()["data"]["isActive"] is True
    assert BurnTable.objects.get(pk=other["id"]).is_active is False
    assert api.send("delete", path).status_code == 200
    assert api.get(f"{TABLES}/active").json()["isDefault"] is True


@pytest.mark.parametrize(
    ("rules_", "path"),
    [
        ({}, "rules"),
        ([], "rules"),
        ({"a": 5}, "rules.a"),
        ({"a": {"inputTokens": 1}}, "rules.a.outputTokens"),
        ({"a": {"inputTokens": -1, "outputTokens": 1}}, "rules.a.inputTokens"),
        ({"a": {"inputTokens": "1", "outputTokens": 1}}, "rules.a.inputTokens"),
        ({"a": {"inputTokens": True, "outputTokens": 1}}, "rules.a.inputTokens"),
        ({"a": {"inputTokens": 1, "outputTokens": 1, "perUnit": 0}}, "rules.a.perUnit"),
        ({"a": {"inputTokens": 1e-10, "outputTokens": 1}}, "rules.a.inputTokens"),
        ({"a": {"inputTokens": 1, "outputTokens": 1, "price": 1}}, "rules.a.price"),
        ({"a": {"inputTokens": 1, "outputTokens": 1, "units": 1}}, "rules.a.units"),
        ({"": {"inputTokens": 1, "outputTokens": 1}}, "rules"),
    ],
)
def test_rules_that_cant_be_are_named(api, rules_, path):
    answer = api.post(TABLES, {"name": "bad", "rules": rules_})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{path}:")
    assert not BurnTable.objects.exists()


def test_a_table_ends_after_it_begins(api):
    assert (
        api.post(TABLES, name="x", rules=RULES, validFrom=iso(days=2), validUntil=iso(days=1)).status_code
        == 400
    )


def test_a_trial_tells_what_other_rules_would_have_burned(api):
    api.ingest(event(), event(model="gpt-4o"), event(model="nobody-knows"), event(user_id="alice"))
    answer = exact(
        api.post(f"{TABLES}/simulate", rules={"gpt-4o-mini": {"inputTokens": 2, "outputTokens": 4}})
    )
    trials = {
        one["model"]: (one["events"], one["chargedCredits"], one["simulatedCredits"])
        for one in answer["data"]["byModel"]
    }
    assert trials == {"gpt-4o-mini": (2, 2, 8), "gpt-4o": (1, 8, 8), "nobody-knows": (1, 0, None)}
    assert answer["data"]["simulatedCredits"] == 16
    assert not BurnTable.objects.exists()


def test_a_trial_of_very_many_events_is_one_of_the_newest_and_says_so(api, monkeypatch):
    api.ingest(event(model="gpt-4o"), event(timestamp=iso(days=-3)), event())
    whole = api.post(f"{TABLES}/simulate", rules=RULES).json()["data"]
    assert (whole["events"], whole["isComplete"]) == (3, True)
    monkeypatch.setattr("ledger.rating.burntables.MAX_TRIED", 2)
    newest = api.post(f"{TABLES}/simulate", rules=RULES).json()["data"]
    assert (newest["events"], newest["isComplete"]) == (2, False)
    assert [trial["model"] for trial in newest["byModel"]] == ["gpt-4o-mini"]


def test_a_trial_says_what_the_table_then_burns(api):
    events = [event(input_tokens=n, output_tokens=n) for n in (1_000, 2_000)]
    api.ingest(*events)
    trial = exact(api.post(f"{TABLES}/simulate", rules=RULES))["data"]["simulatedCredits"]
    api.post(TABLES, name="mine", rules=RULES)
    burned = sum(
        exact(
            api.post(
                "/v1/rating/calculate",
                {**MINI, "inputTokens": one["input_tokens"], "outputTokens": one["output_tokens"]},
            )
        )["credits"]
        for one in events
    )
    assert trial == burned


def test_a_trial_looks_at_a_limited_time(api):
    assert api.post(f"{TABLES}/simulate", {"rules": RULES, "from": iso(days=-100)}).status_code == 400


# --- The arithmetic ----------------------------------------------------------------------------------------

_credits = st.decimals(0, 1_000, places=4)
_tokens = st.integers(0, 10**9)


@given(_credits, _credits, st.integers(1, 10**6), _tokens, _tokens, st.integers(1, NANO))
def test_a_rule_burns_what_fractions_say_rounded_up_once(per_input, per_output, per, fresh, output, rate):
    rule = rules.table({"*": {"inputTokens": per_input, "outputTokens": per_output, "perUnit": per}})["*"]
    burned = rule.burn(rules.Measure(input=fresh, output=output), rate)
    credits = (Fraction(per_input) * fresh + Fraction(per_output) * output) / per
    assert burned == ceil(credits * NANO / rate)


@given(st.integers(0, 10**15), st.integers(1, NANO))
def test_a_cost_burns_the_whole_credits_that_cover_it(cost, rate):
    credits = ceil(Fraction(cost) * rate / NANO)
    assert whole_credits(cost, rate) == ceil(Fraction(credits * NANO, rate))
