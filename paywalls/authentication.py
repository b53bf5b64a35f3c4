"""Who calls the REST API: the paywall whose key the request carries."""

from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from paywalls import keys
from paywalls.errors import MissingKey, UnknownKey
from paywalls.models import Paywall, PaywallKey


@dataclass(frozen=True)
class KeyHolder:
    """Stands for `request.user`: whoever holds a paywall's key. No account of this installation."""

    key: PaywallKey
    is_authenticated: bool = True


class PaywallKeyAuthentication(BaseAuthentication):
    """`request.auth` becomes the Paywall. A request without a live key is refused with 401.

    A view for everybody says `authentication_classes = []`.
    """

    def authenticate(self, request: Request) -> tuple[KeyHolder, Paywall]:
        """Raises MissingKey or UnknownKey."""
        plain = keys.presented(request.headers.get("Authorization", ""), request.headers.get("X-API-Key", ""))
        if not plain:
            raise MissingKey
        key = keys.find(plain)
        if key is None:
            raise UnknownKey
        return KeyHolder(key), key.paywall

    def authenticate_header(self, request: Request) -> str:
        """The value of WWW-Authenticate with a 401."""
        return "Bearer"


class PaywallKeyScheme(OpenApiAuthenticationExtension):
    """The key in the OpenAPI document: a bearer token, or the header X-API-Key."""

    target_class = PaywallKeyAuthentication
    name = ["paywallKey", "paywallKeyHeader"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """A list means that either is enough."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """One definition for each of the two headers."""
        return [
            {"type": "http", "scheme": "bearer", "description": "A paywall key, `sk-paywalls-…`."},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A paywall key."},
        ]
