"""The OpenAPI document: what the REST endpoints share, and the gateway's paths, which Django doesn't see.

`openapi.yaml` is made by `manage.py spectacular --validate --fail-on-warn --file openapi.yaml`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from django.http import HttpRequest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from paywalls.identity import USER_HEADERS as NAMES
from paywalls.models.enduser import MAX_EXTERNAL_ID

GATEWAY = Path(__file__).with_name("gateway.openapi.yaml")

METHODS = {"get", "put", "post", "delete", "patch"}

USER_HEADERS = [
    OpenApiParameter(
        "-".join(part.capitalize() for part in name.split("-")),
        {"type": "string", "maxLength": MAX_EXTERNAL_ID},
        OpenApiParameter.HEADER,
        description=description,
    )
    for name, description in zip(
        NAMES,
        (
            "The end user, where the request itself names none (UTF-8).",
            "An alias of X-Paywall-User, which beats it.",
        ),
        strict=True,
    )
]

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
    OpenApiParameter.HEADER,
    description="The same key and body again answer as the first time, and move nothing "
    "(`Idempotent-Replayed: true`). With another body the key is refused (422), and while its first request is "
    "under way (409). Answers are kept for 48 hours; money doesn't move twice for a key, ever.",
)

_REASONS = {
    400: "Something in the request has to change; `param` names it.",
    401: "No key, or one that is unknown or revoked.",
    403: "The paywall's mode doesn't allow it.",
    404: "There is no such thing on this paywall.",
    410: "The paywall is archived.",
    409: "Not in its present state; the message says why.",
    413: "The body is over the limit.",
    415: "The body is not application/json.",
    422: "The Idempotency-Key was used for another request.",
    503: "Busy; nothing was done. Try again after `Retry-After` seconds.",
}


def errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """The error answers of an endpoint, all in the OpenAI shape."""
    return {
        status: OpenApiResponse({"$ref": "#/components/schemas/Error"}, description=_REASONS[status])
        for status in statuses
    }


_TENANT_REASONS = _REASONS | {
    401: "No key, or one that is unknown, expired or revoked.",
    403: "The key's scopes don't allow it, or it is another customer's.",
    404: "This customer has no such thing.",
    409: "It is there already, or in use; the message says what.",
    429: "Over the key's rate, or the tier's monthly events. `Retry-After` says when to come back.",
}


def tenant_errors(*statuses: int) -> dict[int, OpenApiResponse]:
    """The error answers of an endpoint of the metering API, in its own shape; those that all have are added."""
    return {
        status: OpenApiResponse(
            {"$ref": "#/components/schemas/TenantError"}, description=_TENANT_REASONS[status]
        )
        for status in sorted({*statuses, 400, 401, 403, 429, 503})
    }


def add_gateway_paths(
    result: dict[str, Any], generator: SchemaGenerator, request: HttpRequest | None, public: bool
) -> dict[str, Any]:
    """drf-spectacular's hook: the plain-ASGI paths and the parts that all paths refer to."""
    gateway = yaml.safe_load(GATEWAY.read_text())
    result["paths"] = dict(sorted((result["paths"] | gateway["paths"]).items()))
    for section, parts in gateway["components"].items():
        result["components"][section] = dict(sorted((result["components"].get(section, {}) | parts).items()))
    for path in result["paths"].values():
        for method in METHODS & path.keys():
            path[method].setdefault("security", [])
    for response in _responses(result):
        response.setdefault("headers", {})["x-request-id"] = {"$ref": "#/components/headers/RequestId"}
    return result


def _responses(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every response that is written out, shared or in place."""
    yield from document["components"]["responses"].values()
    for path in document["paths"].values():
        for method in METHODS & path.keys():
            yield from (answer for answer in path[method]["responses"].values() if "$ref" not in answer)
