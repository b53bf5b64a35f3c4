"""The metering API as its clients see it: over HTTP, on a real installation, chats and reports in one account."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from tests.installation import Installation
from tests.story import HELLO, assert_books_sum
from tests.tenants import check_contract, event, exact

pytestmark = pytest.mark.server

ENVIRONMENT = {"RATE_LIMIT_PER_MINUTE": "0", "REGISTRATION": "open", "MAX_BODY_BYTES": "20000"}


@dataclass
class Caller:
    """Calls with a tenant's key; every answer keeps to the contract."""

    site: Installation
    key: str | None
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        headers = {**({"Authorization": f"Bearer {self.key}"} if self.key else {}), **self.headers}
        answer = requests.request(
            method, self.site.url() + path, params=query, json=body, headers=headers, timeout=30
        )
        check_contract(method.lower(), path, answer)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """The `data` of an answer, its numbers exact."""
        answer = self.send("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return exact(answer)["data"]

    def check(self, user: str, feature: str = "chat") -> dict[str, Any]:
        asked = {"userId": user, "featureId": feature, "action": {"type": "token_usage"}}
        answer = self.send("POST", "/v1/entitlements/check", asked)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def site() -> Iterator[Installation]:
    with Installation.running(env=ENVIRONMENT) as running:
        yield running


def issued(site: Installation, email: str, *scopes: str) -> Caller:
    """A caller with a new key of the tenant."""
    made = site.manage(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from paywalls import tenantkeys; from paywalls.models import Tenant; "
        f"print(tenantkeys.issue(Tenant.objects.get(email={email!r}), scopes={scopes!r})[1])",
    )
    assert made.returncode == 0, made.stderr
    return Caller(site, made.stdout.split()[-1])


@pytest.fixture(scope="module")
def acme(site: Installation) -> Caller:
    """The customer whose paywall chats."""
    return issued(site, "ops@acme.test", "ingest", "read", "manage")


@pytest.fixture(scope="module")
def other(site: Installation) -> Caller:
    """A customer that has registered itself."""
    asked = {"name": "Bolt", "email": "ops@bolt.test"}
    made = Caller(site, None).send("POST", "/v1/customers/register", asked)
    assert made.status_code == 201, made.text
    return Caller(site, made.json()["data"]["apiKey"])


def chat(site: Installation, user: str) -> None:
    site.client().chat.completions.create(model="sandbox/echo", user=user, messages=HELLO)


def test_chats_and_reports_are_in_the_same_figures_and_burn_one_wallet(
    site: Installation, acme: Caller
) -> None:
    chat(site, "alice")
    accepted = acme.send("POST", "/v1/events/ingest", {"events": [event(user_id="alice")]})
    assert accepted.status_code == 202
    used = acme.get("/v1/analytics/usage")["summary"]
    burned = [
        -line["amount"]
        for line in acme.get("/v1/users/alice/transactions")
        if line["transactionType"] == "BURN"
    ]
    assert len(burned) == used["totalEvents"] == 2
    assert Decimal(used["totalCreditsBurned"]) == sum(burned)
    assert acme.get("/v1/analytics/usage", featureId="chat")["summary"]["totalEvents"] == 2
    assert [line["events"] for line in acme.get("/v1/analytics/usage-trends") if line["events"]] == [2]
    for path in ("costs", "cost-breakdown", "burn-rate", "burn-forecast", "summary"):
        assert acme.send("GET", f"/v1/analytics/{path}").status_code == 200
    assert_books_sum(site)


def test_a_chat_is_a_use_that_the_next_check_knows(site: Installation, acme: Caller) -> None:
    limit = {"featureId": "chat", "limitType": "HARD", "limitValue": 1, "period": "DAILY", "userId": "carol"}
    assert acme.send("POST", "/v1/entitlements", limit).status_code == 201
    assert acme.check("carol")["actions"][0]["type"] == "create_wallet"
    chat(site, "carol")
    refused = acme.check("carol")
    assert (refused["allowed"], refused["reason"]) == (False, "Usage limit of 1 reached")
    assert (refused["usage"], refused["remaining"]) == (1, 0)


def test_a_late_event_counts_in_its_own_day(acme: Caller) -> None:
    day = datetime.now(UTC) - timedelta(days=20)
    late = event(user_id="dora", feature_id="late", timestamp=day.isoformat())
    assert acme.send("POST", "/v1/events/ingest", {"events": [late]}).status_code == 202
    found = acme.get("/v1/analytics/usage", featureId="late")
    assert [line["date"] for line in found["timeline"] if line["events"]] == [f"{day:%Y-%m-%d}"]


def test_one_customers_checks_know_nothing_of_anothers_users(
    site: Installation, acme: Caller, other: Caller
) -> None:
    chat(site, "eve")
    limit = {"featureId": "chat", "limitType": "HARD", "limitValue": 7, "period": "TOTAL", "userId": "eve"}
    assert acme.send("POST", "/v1/entitlements", limit).status_code == 201
    assert acme.check("eve")["usage"] == 1
    theirs = other.check("eve")
    assert (theirs["usage"], theirs["limit"], theirs["currentBalance"]) == (0, None, None)
    assert other.get("/v1/analytics/usage")["summary"]["totalEvents"] == 0
    assert other.send("GET", "/v1/users/eve/credits").status_code == 404
    assert other.get("/v1/users/eve/transactions") == []


def test_an_email_registers_once(other: Caller) -> None:
    again = {"name": "Bolt", "email": "ops@bolt.test"}
    assert Caller(other.site, None).send("POST", "/v1/customers/register", again).status_code == 409


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/v1/entitlements/check", {}, {"userId": 7}, 400),
        ("POST", "/v1/entitlements/check", {"Authorization": "Bearer sk-tenant-nobody"}, {}, 400),
        (
            "POST",
            "/v1/entitlements/check",
            {"Authorization": "Bearer sk-tenant-nobody"},
            {"userId": "a", "featureId": "b", "action": {"type": "custom"}},
            401,
        ),
        ("GET", "/v1/entitlements/check", {}, None, 405),
        ("POST", "/v1/entitlements/check", {}, {"userId": "x" * 30_000}, 413),
        ("POST", "/v1/events/ingest", {}, {"events": ["x" * 30_000]}, 413),
        ("PUT", "/v1/keys/7", {}, {}, 404),
    ],
)
def test_every_error_is_in_the_shape_of_this_api(
    acme: Caller, method: str, path: str, headers: dict[str, str], body: Any, status: int
) -> None:
    answer = Caller(acme.site, acme.key, headers).send(method, path, body)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert isinstance(told["error"], str)
    assert told["message"]


def test_a_key_without_the_scope_is_told_so(site: Installation, acme: Caller) -> None:
    reporter = issued(site, "ops@acme.test", "ingest")
    asked = {"userId": "alice", "featureId": "chat", "action": {"type": "custom"}}
    assert reporter.send("POST", "/v1/entitlements/check", asked).status_code == 403
