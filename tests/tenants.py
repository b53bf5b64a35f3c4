"""Tenants of the metering API in tests: a client with a key, whose every answer keeps to the contract."""

import copy
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
from django.http import HttpResponse
from django.test import Client

from config import ids
from paywalls import tenantkeys
from paywalls.models import Paywall, Tenant
from paywalls.tenants import home_of
from paywalls.users import UserRef
from tests.factories import make_tenant

CONTRACT = json.loads((Path(__file__).parent / "contract" / "metering.openapi.json").read_text())

# What the contract's page says of all endpoints, beyond the document: 429, and 503 where the database is away.
EVERYWHERE = {"400", "401", "403", "413", "415", "429", "503"}


class TenantApi:
    """A tenant with a key of all scopes; `post("/v1/…", field=value)` answers the response, checked."""

    def __init__(
        self, tenant: Tenant | None = None, *, scopes: tuple[str, ...] = ("ingest", "read", "manage")
    ):
        self.tenant = tenant or make_tenant()
        self.home: Paywall = home_of(self.tenant)
        self.key, self.plain = tenantkeys.issue(self.tenant, scopes=scopes)

    def user(self, name: str) -> UserRef:
        return UserRef(self.home.pk, name)

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self._checked("get", path, Client().get(path, query, headers=self._headers))

    def post(self, path: str, body: dict[str, Any] | None = None, **fields: Any) -> HttpResponse:
        return self.send("post", path, body or fields)

    def send(self, method: str, path: str, body: Any = None) -> HttpResponse:
        answer = Client().generic(
            method.upper(),
            path,
            json.dumps({} if body is None else body),
            content_type="application/json",
            headers=self._headers,
        )
        return self._checked(method, path, answer)

    def ingest(self, *events: dict[str, Any]) -> HttpResponse:
        return self.post("/v1/events/ingest", events=list(events))

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.plain}"}

    def _checked(self, method: str, path: str, answer: HttpResponse) -> HttpResponse:
        check_contract(method, path, answer)
        return answer


def exact(answer: HttpResponse) -> Any:
    """The JSON of an answer, its numbers as decimals of all their digits."""
    return json.loads(answer.content, parse_float=Decimal)


def event(**fields: Any) -> dict[str, Any]:
    """A token event of now, with an id of its own."""
    return {
        "event_id": str(ids.new()),
        "event_type": "TOKEN_USAGE",
        "feature_id": "chat",
        "provider": "OPENAI",
        "model": "gpt-4o-mini",
        "input_tokens": 1_000,
        "output_tokens": 500,
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        **fields,
    }


def check_contract(method: str, path: str, answer: HttpResponse) -> None:
    """Raises AssertionError where the public contract knows the endpoint and the answer isn't as it says."""
    operation = _operation(method, path.partition("?")[0])
    if operation is None:
        return
    status = str(answer.status_code)
    documented = operation["responses"].get(status)
    if documented is None:
        assert status in EVERYWHERE, f"{method} {path}: the contract knows no {status}"
        schema = {
            "type": "object",
            "required": ["error", "message"],
            "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
        }
    else:
        schema = documented["content"]["application/json"]["schema"]
    if answer.status_code != 204:
        jsonschema.validate(json.loads(answer.content), _json_schema(schema))


def _operation(method: str, path: str) -> dict[str, Any] | None:
    exact_first = sorted(CONTRACT["paths"], key=lambda template: "{" in template)
    for template in exact_first:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found: dict[str, Any] | None = CONTRACT["paths"][template].get(method)
            return found
    return None


def _json_schema(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema; additional fields are welcome, as the contract's page says."""
    if isinstance(schema, list):
        return [_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _json_schema(part) for name, part in copy.copy(schema).items()}
    if made.get("additionalProperties") is False:
        del made["additionalProperties"]
    if made.pop("nullable", False) and "type" in made:
        made["type"] = [made["type"], "null"]
    return made
