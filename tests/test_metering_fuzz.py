"""The metering API under generated requests: no answer is a 5xx, and each is one that openapi.yaml documents.

Schemathesis draws bodies and parameters that keep to the document, and such as don't. The seed is fixed, so that a
failure is everybody's; to look further, raise `max_examples` and drop `derandomize`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from config.errors import is_metering
from tests.installation import Installation

pytestmark = pytest.mark.server

DOCUMENT = schemathesis.openapi.from_path(django_settings.BASE_DIR / "openapi.yaml")
SCHEMA = DOCUMENT.include(lambda context: is_metering(context.operation.path))


@pytest.fixture(scope="module")
def site() -> Iterator[Installation]:
    with Installation.running(env={"RATE_LIMIT_PER_MINUTE": "0", "REGISTRATION": "open"}) as running:
        yield running


@pytest.fixture(scope="module")
def key(site: Installation) -> str:
    """A key of all scopes."""
    asked = {"name": "Bolt", "email": "ops@bolt.test"}
    return str(requests.post(f"{site.url()}/v1/customers/register", json=asked).json()["data"]["apiKey"])


@SCHEMA.parametrize()
@settings(
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_answer_is_a_fault_of_ours_or_undocumented(case: Any, site: Installation, key: str) -> None:
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
    case.call_and_validate(
        base_url=site.url(),
        checks=[not_a_server_error, status_code_conformance, response_schema_conformance],
    )
