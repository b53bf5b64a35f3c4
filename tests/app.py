"""An app in front of a paywall, as the balance API sees it."""

import json
from typing import Any

from django.test import Client

from ledger import queries
from paywalls import keys
from paywalls.models import Paywall
from paywalls.users import UserRef
from tests.factories import make_paywall

BALANCE, TOPUP = "/v1/user/balance", "/v1/user/balance/topup"
DEPOSIT, CHARGE = "/v1/user/balance/deposit", "/v1/user/charge"


class App:
    """An app that calls the API with its paywall's key."""

    def __init__(self, **settings: Any) -> None:
        self.paywall: Paywall = make_paywall(**settings)
        self.key = keys.issue_key(self.paywall)

    def call(self, method: str, path: str, **options: Any) -> Any:
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        return client.generic(method, path, headers=headers, **options)

    def get(self, path: str, user: str | None = "alice", **headers: str) -> Any:
        query = f"?user={user}" if user is not None else ""
        return self.call("GET", path + query, headers=headers)

    def post(self, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        data = json.dumps({"user": "alice", **body})
        return self.call("POST", path, data=data, content_type="application/json", headers=headers or {})

    def posted(self, user: str = "alice") -> int:
        return queries.balance_of(UserRef(self.paywall.id, user)).posted


def refusal(answer: Any, status: int, param: str | None = None) -> str:
    """The message of an error answer, which must be a whole OpenAI error object."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Request-Id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"]
    assert error["param"] == param
    return str(error["message"])
