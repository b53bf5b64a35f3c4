"""The OpenAPI document is current, complete and true to what is served."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from config.openapi import GATEWAY
from proxy import asgi

DOCUMENT = settings.BASE_DIR / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(yaml.safe_load(DOCUMENT.read_text()))


def test_the_committed_document_is_current(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(made))
    assert made.read_text() == DOCUMENT.read_text(), (
        "run: python manage.py spectacular --validate --fail-on-warn --file openapi.yaml"
    )


def test_what_may_be_null_says_so_as_openapi_3_1_does(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert "nullable:" not in DOCUMENT.read_text()


def django_routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every path of Django's URL table, in OpenAPI's notation, with its view."""
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path), pattern.callback
        else:
            yield from django_routes(pattern, path)


def test_every_endpoint_of_django_under_v1_is_in_it(document: dict[str, Any]) -> None:
    served = {path: view for path, view in django_routes(get_resolver()) if path.startswith("/v1/")}
    assert {"/v1/user/balance", "/v1/user/balance/deposit"} <= served.keys()
    for path, view in served.items():
        methods = {name for name in ("get", "post", "put", "patch", "delete") if hasattr(view.cls, name)}
        assert methods == document["paths"][path].keys() & {"get", "post", "put", "patch", "delete"}


def test_every_path_of_the_gateway_is_served_by_it() -> None:
    for path, operations in yaml.safe_load(GATEWAY.read_text())["paths"].items():
        method = next(iter(operations)).upper()
        found = asgi.route({"method": method, "raw_path": path.encode(), "headers": []})
        assert found, path
        assert [found[0].lower()] == list(operations)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"\$ref: '#/([^']+)'", DOCUMENT.read_text()))
    assert "components/schemas/Error" in references
    for reference in references:
        part: Any = document
        for name in reference.split("/"):
            part = part[name]


def test_every_answer_has_our_request_id(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                shared = answer.get("$ref", "").rpartition("/")[2]
                headers = (document["components"]["responses"][shared] if shared else answer)["headers"]
                assert "x-request-id" in headers


def test_every_operation_is_named_and_says_who_may_call_it(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    open_to_all = {operation["operationId"] for operation in operations if not operation["security"]}
    assert open_to_all == {"isAlive", "isReady", "registerCustomer"}
    assert all(operation["summary"] for operation in operations)
