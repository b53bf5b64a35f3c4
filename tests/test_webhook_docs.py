"""The docs page and the OpenAPI document say what the catalogue says."""

from pathlib import Path

import yaml

from webhooks import catalogue

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_lists_every_event_with_its_fields() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `paywall.")]
    assert rows == [
        f"| `{event.key}` | {event.summary} | {', '.join(event.fields)} |" for event in catalogue.ALL.values()
    ]


def test_the_openapi_document_has_every_event_with_its_fields() -> None:
    hooks = yaml.safe_load((ROOT / "openapi.yaml").read_text())["webhooks"]
    assert list(hooks) == list(catalogue.ALL)
    for key, event in catalogue.ALL.items():
        schema = hooks[key]["post"]["requestBody"]["content"]["application/json"]["schema"]
        data = schema["properties"]["event"]["properties"]["data"]
        assert set(data["properties"]) == {"paywallId", "ownerUserId", *event.fields}
