"""Two customers: whatever one has, the other can't see, change or use, at every endpoint of the metering API.

The walk goes through the URL table, so that an endpoint that comes later is asked, too; one with a parameter that
nobody told it about fails here.
"""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from config.errors import is_metering
from paywalls import tenantkeys
from paywalls.models import Team
from paywalls.views.base import MeteringView, TenantView
from proxy import asgi
from tests.tenants import TenantApi, event
from tests.test_entitlements import ask

pytestmark = pytest.mark.django_db

RULES = {"*": {"inputTokens": 1, "outputTokens": 1}}
# What only one of the two has: never in an answer to the other.
SECRETS = ("alice-of-one", "red-of-one", "Only of one", "feature-of-one")


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, type[MeteringView]]]:
    """Every path of the metering API with its view."""
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        elif isinstance(pattern, URLPattern) and issubclass(
            getattr(pattern.callback, "cls", object), MeteringView
        ):
            yield path, pattern.callback.cls


ROUTES = dict(routes(get_resolver()))
CALLS = [
    (path, method)
    for path, view in sorted(ROUTES.items())
    for method in ("get", "post", "put", "patch", "delete")
    if hasattr(view, method) and issubclass(view, TenantView)
]


@pytest.fixture(autouse=True)
def _unhurried(settings):
    settings.RATE_LIMIT_PER_MINUTE = 0


@pytest.fixture
def one():
    """A customer that has one of everything; `things` are the values of path parameters that lead to it."""
    api = TenantApi()
    api.post("/v1/teams", teamId="red-of-one", name="Only of one")
    api.post("/v1/teams/red-of-one/members", userId="alice-of-one")
    api.ingest(event(user_id="alice-of-one", team_id="red-of-one", feature_id="feature-of-one"))
    api.post("/v1/credits/grant", userId="alice-of-one", amount=5)
    table = api.post("/v1/burn-tables", name="Only of one", rules=RULES).json()["data"]
    entitlement = Client().post(
        "/v1/entitlements",
        {"featureId": "feature-of-one", "limitType": "HARD", "limitValue": 5},
        content_type="application/json",
        headers={"X-API-Key": api.plain},
    )
    key, _ = tenantkeys.issue(api.tenant)
    things: dict[str, Any] = {
        "key_id": key.pk,
        "team_id": "red-of-one",
        "user_id": "alice-of-one",
        "table_id": table["id"],
        # There is one where entitlements are served.
        "entitlement_id": entitlement.json()["data"]["id"]
        if entitlement.status_code == 201
        else uuid.uuid4(),
    }
    return api, things


def of(path: str, things: dict[str, Any]) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(things[match.group(1)]), path)


def state_of(api: TenantApi) -> list[Any]:
    """What the customer's lists say."""
    paths = ("/v1/keys", "/v1/teams", "/v1/burn-tables", "/v1/events", "/v1/users/alice-of-one/transactions")
    told = [api.get(path).json() for path in paths]
    for key in told[0]["data"]:
        key.pop("lastUsedAt")
    return told


def test_nothing_of_one_customer_is_another_ones(one):
    api, things = one
    before = state_of(api)
    other = TenantApi()
    for path, method in CALLS:
        asked = of(path, things)
        answer = other.send(method, asked, {})
        assert answer.status_code < 500, (method, path)
        if "<" in path and "user_id" not in path:
            assert answer.status_code in (403, 404), (method, path)
        for secret in SECRETS:
            # An id that the request itself named may come back.
            assert secret in asked or secret not in answer.content.decode(), (method, path)
    assert state_of(api) == before


def test_no_endpoint_answers_without_a_key(one):
    _, things = one
    for path, method in CALLS:
        answer = Client().generic(method.upper(), of(path, things), "{}", content_type="application/json")
        assert answer.status_code == 401, (method, path)
        assert {"error", "message"} <= answer.json().keys()


def test_a_key_that_may_only_report_gets_in_nowhere_else(one):
    api, things = one
    reporter = TenantApi(api.tenant, scopes=("ingest",))
    for path, method in CALLS:
        status = reporter.send(method, of(path, things), {}).status_code
        scope = ROUTES[path].scopes.get(method.upper())
        assert (status == 403) is (scope != "ingest"), (method, path)


def test_a_team_is_looked_up_among_ones_own(one):
    TenantApi().ingest(event(team_id="red-of-one"))
    assert Team.objects.filter(external_id="red-of-one").count() == 2


def test_the_walk_sees_the_endpoints():
    assert {"v1/events/ingest", "v1/credits/grant", "v1/burn-tables/<uuid:table_id>"} <= ROUTES.keys()


# --- What the gateway's side serves, which is in no URL table ----------------------------------------------

# A new one fails here until somebody says what to ask of it.
PLAIN_QUESTIONS = {
    "/v1/entitlements/check": {
        "userId": "alice-of-one",
        "featureId": "feature-of-one",
        "action": {"type": "api_call"},
    },
}


def test_the_plain_side_is_asked_too():
    assert {path for path in asgi.HANDLERS if is_metering(path)} == PLAIN_QUESTIONS.keys()


@pytest.mark.django_db(transaction=True)
def test_nothing_of_one_customer_is_another_ones_on_the_plain_side(one):
    api, _ = one
    other = TenantApi()
    reporter = TenantApi(api.tenant, scopes=("ingest",))
    for question in PLAIN_QUESTIONS.values():
        [own] = ask(question, key=api.plain)
        [foreign] = ask(question, key=other.plain)
        assert (own.json()["limit"], own.json()["usage"], own.json()["currentBalance"]) == (5, 1, 5)
        assert (foreign.json()["limit"], foreign.json()["usage"], foreign.json()["currentBalance"]) == (
            None,
            0,
            None,
        )
        for key, status in (("sk-tenant-nobody", 401), (reporter.plain, 403)):
            [refused] = ask(question, key=key)
            assert (refused.status_code, refused.json().keys()) == (status, {"error", "message"})
