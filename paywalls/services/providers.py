"""Providers: where models are, and the keys that go there."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from django.db import transaction

from config import secrets
from paywalls import events, rules
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, Provider
from paywalls.services.writing import encrypted, refuse_taken, write_changes


class Timeouts(TypedDict, total=False):
    """Seconds; None is as the installation has it."""

    connect_seconds: float | None
    first_byte_seconds: float | None
    idle_seconds: float | None
    total_seconds: float | None


class ProviderSettings(Timeouts, total=False):
    """`api_key` in the clear; "" is no key. It is stored encrypted."""

    name: str
    base_url: str
    api_key: str
    surfaces: list[str]
    installation_pays: bool


def check_provider(
    paywall: Paywall, provider: Provider | None, **settings: Unpack[ProviderSettings]
) -> dict[str, Any]:
    """The settings that a new or the given provider of the paywall would have (the key in the clear)."""
    stored = rules.obeyed(rules.PROVIDER, settings)
    refuse_taken(
        paywall.providers.all(), provider, stored, "name", "is the name of another provider of this paywall"
    )
    if provider and "base_url" in stored:
        _refuse_move(provider, stored)
    return stored


def create_provider(
    paywall: Paywall,
    *,
    name: str,
    base_url: str,
    api_key: str = "",
    surfaces: Sequence[str] = (),
    installation_pays: bool = False,
    **timeouts: Unpack[Timeouts],
) -> Provider:
    """A new provider of the paywall; its key is stored encrypted. Raises InvalidSetting."""
    stored = check_provider(
        paywall,
        None,
        name=name,
        base_url=base_url,
        api_key=api_key,
        surfaces=list(surfaces),
        installation_pays=installation_pays,
        **timeouts,
    )
    stored["api_key"] = secrets.encrypt(stored["api_key"])
    with transaction.atomic():
        made = Provider.objects.create(paywall=paywall, **stored)
        events.updated(paywall.pk, [(f"providers.{made.name}", f"providers.{made.name} added")])
    return made


def update_provider(provider: Provider, **settings: Unpack[ProviderSettings]) -> bool:
    """Change the given settings; whether anything differed. Without `api_key` the stored key stays.

    Raises InvalidSetting, also where the stored key would go to another host than it was given for.
    """
    stored = check_provider(provider.paywall, provider, **settings)
    if "api_key" in stored:
        stored["api_key"] = encrypted(stored["api_key"], provider.api_key)
    return write_changes(provider, stored)


def _refuse_move(provider: Provider, stored: Mapping[str, Any]) -> None:
    """Refuse a new base URL that the provider's models or its stored key don't fit.

    A stored key is never sent to a host that it wasn't given for: who edits an address could read it there.
    """
    address = stored["base_url"]
    if provider.api_key and "api_key" not in stored and _origin(address) != _origin(provider.base_url):
        raise InvalidSetting(
            "must be given again when base_url moves to another host: a stored key is only sent to the host "
            "that it was given for",
            param="api_key",
        )
    routes = provider.routes.values_list("model__model_id", "upstream_model")
    for model_id, upstream_model in [*provider.models.values_list("model_id", "upstream_model"), *routes]:
        try:
            rules.upstream_of(address, upstream_model)
        except InvalidSetting:
            raise InvalidSetting(
                f"can't become the sandbox, which doesn't know the upstream_model of {model_id}; make "
                "another provider for the sandbox",
                param="base_url",
            ) from None


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port
