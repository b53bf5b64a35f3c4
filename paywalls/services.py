"""What operators do: make and change tenants, paywalls, providers and models.

Each `check_*` refuses (InvalidSetting, which names the setting) and answers the settings as they are stored;
the writes check first by themselves. An update writes only what differs, so that doing it again moves
nothing: neither a row nor the paywall's config_version.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Model, QuerySet

from config import secrets
from paywalls import events, prices, rules
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallModel, Provider, Tenant
from paywalls.prices import PriceSettings


class TenantSettings(TypedDict, total=False):
    name: str
    email: str
    credits_per_usd: int


class PaywallSettings(TypedDict, total=False):
    """`trial_credit` in nano-dollars."""

    name: str
    mode: str
    trial_credit: int
    markup_percent: Decimal


class ProviderSettings(TypedDict, total=False):
    """`api_key` in the clear; "" is no key. It is stored encrypted."""

    name: str
    base_url: str
    api_key: str
    surfaces: list[str]


class OptionalModelSettings(PriceSettings, total=False):
    """What a model has a default for."""

    display_name: str
    description: str
    max_output_tokens: int


class ModelSettings(OptionalModelSettings, total=False):
    """Prices in nano-dollars; token prices per million tokens."""

    provider: Provider
    model_id: str
    upstream_model: str
    prompt_price: int
    completion_price: int


def check_tenant(tenant: Tenant | None, **settings: Unpack[TenantSettings]) -> dict[str, Any]:
    """The settings that a new or the given tenant would have."""
    stored = rules.obeyed(rules.TENANT, settings)
    _refuse_taken(Tenant.objects.all(), tenant, stored, "email", "is another tenant's")
    return stored


def create_tenant(*, name: str, email: str, credits_per_usd: int = 1_000) -> Tenant:
    """A new business on this installation. Raises InvalidSetting."""
    return Tenant.objects.create(
        **check_tenant(None, name=name, email=email, credits_per_usd=credits_per_usd)
    )


def update_tenant(tenant: Tenant, **settings: Unpack[TenantSettings]) -> bool:
    """Change the given settings; whether anything differed. Raises InvalidSetting."""
    return _write_changes(tenant, check_tenant(tenant, **settings))


def check_paywall(
    tenant: Tenant, paywall: Paywall | None, **settings: Unpack[PaywallSettings]
) -> dict[str, Any]:
    """The settings that a new or the given paywall of the tenant would have."""
    if paywall and settings.get("mode", paywall.mode) != paywall.mode:
        raise InvalidSetting(
            f'can\'t change after the paywall is made: it is "{paywall.mode}"; make another paywall instead',
            param="mode",
        )
    stored = rules.obeyed(rules.PAYWALL, settings)
    _refuse_taken(
        tenant.paywalls.all(), paywall, stored, "name", "is the name of another paywall of this tenant"
    )
    return stored


def create_paywall(
    tenant: Tenant,
    *,
    name: str,
    mode: str = Paywall.Mode.DEFAULT,
    trial_credit: int = 0,
    markup_percent: Decimal = Decimal(0),
) -> Paywall:
    """A new paywall; `trial_credit` in nano-dollars. It has no key yet (`keys.issue_key`).

    Raises InvalidSetting.
    """
    stored = check_paywall(
        tenant, None, name=name, mode=mode, trial_credit=trial_credit, markup_percent=markup_percent
    )
    return Paywall.objects.create(tenant=tenant, **stored)


def update_paywall(paywall: Paywall, **settings: Unpack[PaywallSettings]) -> bool:
    """Change the given settings; whether anything differed. Raises InvalidSetting, also for another mode."""
    return _write_changes(paywall, check_paywall(paywall.tenant, paywall, **settings))


def check_provider(
    paywall: Paywall, provider: Provider | None, **settings: Unpack[ProviderSettings]
) -> dict[str, Any]:
    """The settings that a new or the given provider of the paywall would have (the key in the clear)."""
    stored = rules.obeyed(rules.PROVIDER, settings)
    _refuse_taken(
        paywall.providers.all(), provider, stored, "name", "is the name of another provider of this paywall"
    )
    if provider and "base_url" in stored:
        _refuse_move(provider, stored)
    return stored


def create_provider(
    paywall: Paywall, *, name: str, base_url: str, api_key: str = "", surfaces: Sequence[str] = ()
) -> Provider:
    """A new provider of the paywall; its key is stored encrypted. Raises InvalidSetting."""
    stored = check_provider(
        paywall, None, name=name, base_url=base_url, api_key=api_key, surfaces=list(surfaces)
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
        # The same key encrypts to another token each time, so compare what the stored one says.
        same = _holds(provider.api_key, stored["api_key"])
        stored["api_key"] = provider.api_key if same else secrets.encrypt(stored["api_key"])
    return _write_changes(provider, stored)


def check_model(
    paywall: Paywall, model: PaywallModel | None, **settings: Unpack[ModelSettings]
) -> dict[str, Any]:
    """The settings that a new or the given model of the paywall would have."""
    stored = prices.checked(model, rules.obeyed(rules.MODEL, settings))
    _refuse_taken(
        paywall.models.all(), model, stored, "model_id", "is the id of another model of this paywall"
    )
    provider = stored.get("provider") or _of(model).provider
    if provider.paywall_id != paywall.pk:
        raise InvalidSetting("must be a provider of the same paywall", param="provider")
    rules.upstream_of(provider.base_url, stored.get("upstream_model") or _of(model).upstream_model)
    return stored


def create_model(
    paywall: Paywall,
    *,
    provider: Provider,
    model_id: str,
    upstream_model: str,
    prompt_price: int,
    completion_price: int,
    **others: Unpack[OptionalModelSettings],
) -> PaywallModel:
    """A new model that the paywall sells. Prices as in ModelSettings. Raises InvalidSetting."""
    stored = check_model(
        paywall,
        None,
        provider=provider,
        model_id=model_id,
        upstream_model=upstream_model,
        prompt_price=prompt_price,
        completion_price=completion_price,
        **others,
    )
    with transaction.atomic():
        made = PaywallModel.objects.create(paywall=paywall, **stored)
        events.updated(paywall.pk, [(f"models.{made.model_id}", f"models.{made.model_id} added")])
    return made


def update_model(model: PaywallModel, **settings: Unpack[ModelSettings]) -> bool:
    """Change the given settings; whether anything differed. Raises InvalidSetting."""
    return _write_changes(model, check_model(model.paywall, model, **settings))


def _of(model: PaywallModel | None) -> PaywallModel:
    """The model whose settings stay where none are given; a new one is given all of them."""
    assert model is not None
    return model


def _refuse_taken(
    rows: QuerySet[Any], own: Model | None, stored: Mapping[str, Any], field: str, why: str
) -> None:
    if field not in stored or (own and getattr(own, field) == stored[field]):
        return
    if rows.filter(**{field: stored[field]}).exists():
        raise InvalidSetting(why, param=field)


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
    for model in provider.models.all():
        try:
            rules.upstream_of(address, model.upstream_model)
        except InvalidSetting:
            raise InvalidSetting(
                f"can't become the sandbox, which doesn't know the upstream_model of {model.model_id}; make "
                "another provider for the sandbox",
                param="base_url",
            ) from None


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _holds(token: str, plain: str) -> bool:
    try:
        return secrets.decrypt(token) == plain
    except secrets.UndecryptableSecret:
        return False


def _write_changes(row: Model, stored: Mapping[str, Any]) -> bool:
    changed = {name: value for name, value in stored.items() if getattr(row, name) != value}
    if not changed:
        return False
    before = {name: getattr(row, name) for name in changed}
    for name, value in changed.items():
        setattr(row, name, value)
    with transaction.atomic():
        row.save(update_fields=list(changed))
        match row:
            case Paywall():
                events.updated(row.pk, events.changes("", before, changed))
            case Provider():
                events.updated(row.paywall_id, events.changes(f"providers.{row.name}.", before, changed))
            case PaywallModel():
                events.updated(row.paywall_id, events.changes(f"models.{row.model_id}.", before, changed))
    return True
