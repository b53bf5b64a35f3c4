"""Customers of the metering API: registration, keys, teams, and how fast a key may ask."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from ledger import services
from paywalls import ratelimit, tenantkeys
from paywalls.models import Paywall, Tenant, TenantKey, TierLimits
from paywalls.tenants import home_of
from tests.factories import make_paywall, make_tenant
from tests.tenants import TenantApi, check_contract

pytestmark = pytest.mark.django_db

ALICE = {"name": "Alice & Co", "email": "alice@acme.test"}


@pytest.fixture(autouse=True)
def _fresh_minutes(settings):
    settings.REGISTRATION = "open"
    settings.RATE_LIMIT_PER_MINUTE = 0


def register(**fields):
    answer = Client().post("/v1/customers/register", {**ALICE, **fields}, content_type="application/json")
    check_contract("post", "/v1/customers/register", answer)
    return answer


def test_who_registers_gets_a_key_that_works():
    answer = register(tier="GROWTH")
    assert answer.status_code == 201
    made = answer.json()["data"]
    me = Client().get("/v1/customers/me", headers={"X-API-Key": made["apiKey"]}).json()["data"]
    assert (me["customerId"], me["tier"], me["creditsPerUsd"]) == (made["customerId"], "GROWTH", 1_000)
    assert home_of(Tenant.objects.get()) == Paywall.objects.get()


@pytest.mark.parametrize("email", ["alice@acme.test", "ALICE@acme.test"])
def test_an_address_registers_once(email):
    register()
    answer = register(email=email)
    assert (answer.status_code, answer.json()["error"]) == (409, "email_taken")
    assert Tenant.objects.count() == 1


def test_a_closed_installation_registers_nobody(settings):
    settings.REGISTRATION = "closed"
    assert register().status_code == 403
    assert not Tenant.objects.exists()


def test_an_invitation_opens_the_door(settings):
    settings.REGISTRATION, settings.INVITATION_CODES = "invitation", ["a-code-that-nobody-guesses"]
    assert register().status_code == 403
    assert register(invitationCode="another-code-entirely").status_code == 403
    assert register(invitationCode="a-code-that-nobody-guesses").status_code == 201


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"email": "alice"}, "email"),
        ({"tier": "FREE"}, "tier"),
        ({"name": "\0"}, "name"),
    ],
)
def test_what_is_wrong_with_a_registration_is_named(fields, field):
    answer = register(**fields)
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"] == field


# --- Keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk-tenant-unknown"}, {"X-API-Key": "x"}])
def test_without_a_live_key_nothing_is_answered(headers):
    answer = Client().get("/v1/customers/me", headers=headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "message"}


def test_a_key_may_only_what_its_scopes_say():
    reader = TenantApi(scopes=("read",))
    assert reader.get("/v1/customers/me").status_code == 200
    assert reader.post("/v1/teams", teamId="red").json()["error"] == "missing_scope"
    reporter = TenantApi(reader.tenant, scopes=("ingest",))
    assert reporter.get("/v1/teams").status_code == 403


def test_a_rotated_key_works_until_the_overlap_ends():
    api = TenantApi()
    answer = api.post(f"/v1/keys/{api.key.pk}/rotate", overlapSeconds=600)
    assert answer.status_code == 201
    assert tenantkeys.find(api.plain)
    assert tenantkeys.find(answer.json()["data"]["apiKey"])
    TenantKey.objects.filter(pk=api.key.pk).update(expires_at=timezone.now())
    assert api.get("/v1/customers/me").status_code == 401


def test_a_rotation_without_overlap_ends_the_old_key_at_once():
    api = TenantApi()
    api.post(f"/v1/keys/{api.key.pk}/rotate", overlapSeconds=0)
    assert tenantkeys.find(api.plain) is None


def test_a_dead_key_brings_forth_no_live_one():
    api = TenantApi()
    dead, _ = tenantkeys.issue(api.tenant)
    tenantkeys.revoke(dead)
    assert api.post(f"/v1/keys/{dead.pk}/rotate").status_code == 409


def test_a_revoked_key_is_refused_from_the_next_request_on():
    api = TenantApi()
    assert api.send("delete", f"/v1/keys/{api.key.pk}").json()["data"]["revokedAt"]
    assert api.get("/v1/customers/me").status_code == 401


def test_the_last_use_is_noted_but_not_with_each_request(django_assert_num_queries):
    api = TenantApi()
    api.get("/v1/customers/me")
    noted = TenantKey.objects.get(pk=api.key.pk).last_used_at
    assert noted
    with django_assert_num_queries(1):
        api.get("/v1/customers/me")
    TenantKey.objects.filter(pk=api.key.pk).update(last_used_at=noted - timedelta(minutes=6))
    api.get("/v1/customers/me")
    assert TenantKey.objects.get(pk=api.key.pk).last_used_at > noted


# --- The home ----------------------------------------------------------------------------------------------


def test_a_tenants_first_paywall_is_its_home():
    tenant = make_tenant()
    first, second = make_paywall(tenant), make_paywall(tenant)
    assert (first.is_home, second.is_home) == (True, False)
    assert home_of(tenant) == first


# --- Teams -------------------------------------------------------------------------------------------------


def test_a_team_and_its_members():
    api = TenantApi()
    assert api.post("/v1/teams", teamId="red", name="The reds").status_code == 201
    assert api.post("/v1/teams", teamId="red").status_code == 409
    for name in ("bob", "alice", "bob"):
        members = api.post("/v1/teams/red/members", userId=name).json()["data"]["members"]
    assert members == ["alice", "bob"]
    assert api.send("delete", "/v1/teams/red/members/bob").status_code == 204
    assert api.send("delete", "/v1/teams/red/members/bob").status_code == 404
    assert api.send("patch", "/v1/teams/red", {"name": "Red"}).json()["data"]["name"] == "Red"
    assert api.send("delete", "/v1/teams/red").status_code == 204
    assert api.get("/v1/teams").json() == {"data": [], "nextCursor": None}


def test_the_list_of_teams_goes_on_where_it_stopped():
    api = TenantApi()
    for number in range(5):
        api.post("/v1/teams", teamId=f"team-{number}")
    seen, query = [], {"limit": 2}
    while True:
        page = api.get("/v1/teams", **query).json()
        seen += [team["teamId"] for team in page["data"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == [f"team-{number}" for number in reversed(range(5))]


# --- How fast ----------------------------------------------------------------------------------------------


@pytest.fixture
def _own_counters(settings):
    settings.REDIS_URL = ""
    ratelimit._limiter.cache_clear()
    yield
    ratelimit._limiter.cache_clear()


@pytest.mark.usefixtures("_own_counters")
def test_a_key_asks_so_often_a_minute(settings):
    settings.RATE_LIMIT_PER_MINUTE = 3
    api = TenantApi()
    left = [api.get("/v1/customers/me") for _ in range(3)]
    assert [answer["X-RateLimit-Remaining"] for answer in left] == ["2", "1", "0"]
    answer = api.get("/v1/customers/me")
    assert (answer.status_code, answer.json()["error"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(answer["Retry-After"]) <= 61
    assert answer["X-RateLimit-Limit"] == "3"
    assert TenantApi(api.tenant).get("/v1/customers/me").status_code == 200


@pytest.mark.usefixtures("_own_counters")
def test_a_tier_has_a_rate_of_its_own(settings):
    settings.RATE_LIMIT_PER_MINUTE = 1
    TierLimits.objects.create(tier="GROWTH", rate_per_minute=2)
    api = TenantApi(make_tenant(tier="GROWTH"))
    assert [api.get("/v1/customers/me").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.usefixtures("_own_counters")
def test_guessing_keys_is_counted_too(settings):
    settings.RATE_LIMIT_PER_MINUTE = 2
    answers = [Client().get("/v1/customers/me", headers={"X-API-Key": f"guess-{n}"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert all("X-RateLimit-Remaining" in answer for answer in answers)


def test_requests_pass_while_redis_is_away(settings):
    settings.RATE_LIMIT_PER_MINUTE = 1
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    ratelimit._limiter.cache_clear()
    try:
        api = TenantApi()
        assert [api.get("/v1/customers/me").status_code for _ in range(2)] == [200, 200]
    finally:
        ratelimit._limiter.cache_clear()


def test_trial_credit_of_the_home_is_for_users_that_reports_name():
    tenant = make_tenant()
    home = make_paywall(tenant, trial_credit=5_000_000_000)
    assert services.ensure_user(TenantApi(tenant).user("alice")).paywall_id == home.pk
