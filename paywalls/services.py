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
from paywalls import callsettings, events, prices, rules
from paywalls.callsettings import CallSettings
from paywalls.errors import InvalidSetting
from paywalls.models import EndUser, Paywall, PaywallModel, Provider, Tenant, Tier
from paywalls.models.limits import ANY
from paywalls.prices import PriceSettings

# A server process keeps the limits of these users in memory, for every paywall that it serves.
MAX_LIMITED_USERS = 10_000


class TenantSettings(TypedDict, total=False):
    name: str
    email: str
    credits_per_usd: int
    tier: str
    uncovered_usage: str


class RateSettings(TypedDict, total=False):
    """Of one end user; None is no limit."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None


class SpendSettings(TypedDict, total=False):
    """Of one end user, in nano-dollars; None is no limit."""

    spend_per_day: int | None
    spend_per_month: int | None


class UserSettings(RateSettings, total=False):
    """What an end user may do; None is what the paywall says."""

    max_output_tokens: int | None
    allowed_models: list[str] | None


class PaywallLimits(UserSettings, SpendSettings, total=False):
    """What each end user of a paywall may do who has no limit of their own."""


class OptionalPaywallSettings(PaywallLimits, CallSettings, total=False):
    """What a paywall has a default for."""


class PaywallSettings(OptionalPaywallSettings, total=False):
    """`trial_credit` in nano-dollars."""

    name: str
    mode: str
    trial_credit: int
    markup_percent: Decimal
    description: str
    icon_url: str
    replay_answers: bool


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


class OptionalModelSettings(PriceSettings, RateSettings, SpendSettings, total=False):
    """What a model has a default for."""

    display_name: str
    description: str
    max_output_tokens: int
    priority: int
    weight: int


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


def create_tenant(
    *,
    name: str,
    email: str,
    credits_per_usd: int = 1_000,
    tier: str = Tier.STARTER,
    uncovered_usage: str = Tenant.Uncovered.DEBT,
) -> Tenant:
    """A new business on this installation. Raises InvalidSetting."""
    stored = check_tenant(
        None,
        name=name,
        email=email,
        credits_per_usd=credits_per_usd,
        tier=tier,
        uncovered_usage=uncovered_usage,
    )
    return Tenant.objects.create(**stored)


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
    stored = rules.obeyed({**rules.PAYWALL, **callsettings.RULES}, settings)
    callsettings.check_together(paywall, stored)
    _refuse_taken(
        tenant.paywalls.all(), paywall, stored, "name", "is the name of another paywall of this tenant"
    )
    mode = paywall.mode if paywall else stored.get("mode")
    if mode == Paywall.Mode.SHARED and stored.get("trial_credit"):
        raise InvalidSetting(
            "must be 0 in shared mode: the balance is the user's own wallet", param="trial_credit"
        )
    return stored


def create_paywall(
    tenant: Tenant,
    *,
    name: str,
    mode: str = Paywall.Mode.DEFAULT,
    trial_credit: int = 0,
    markup_percent: Decimal = Decimal(0),
    replay_answers: bool = False,
    description: str = "",
    icon_url: str = "",
    **others: Unpack[OptionalPaywallSettings],
) -> Paywall:
    """A new paywall; `trial_credit` in nano-dollars. It has no key yet (`keys.issue_key`).

    A tenant's first one in default mode is its home: the users that reports of usage name are its end users.
    Raises InvalidSetting.
    """
    stored = check_paywall(
        tenant,
        None,
        name=name,
        mode=mode,
        trial_credit=trial_credit,
        markup_percent=markup_percent,
        replay_answers=replay_answers,
        description=description,
        icon_url=icon_url,
        **others,
    )
    if "response_secret" in stored:
        stored["response_secret"] = secrets.encrypt(stored["response_secret"])
    with transaction.atomic():
        # Of two first paywalls that are made at once, one is the home.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        is_home = stored["mode"] == Paywall.Mode.DEFAULT and not tenant.paywalls.filter(is_home=True).exists()
        return Paywall.objects.create(tenant=tenant, is_home=is_home, **stored)


def update_paywall(paywall: Paywall, **settings: Unpack[PaywallSettings]) -> bool:
    """Change the given settings; whether anything differed. Without `response_secret` the stored one stays.

    Raises InvalidSetting, also for another mode.
    """
    stored = check_paywall(paywall.tenant, paywall, **settings)
    if "response_secret" in stored:
        stored["response_secret"] = _encrypted(stored["response_secret"], paywall.response_secret)
    return _write_changes(paywall, stored)


def check_user(user: EndUser, **settings: Unpack[UserSettings]) -> dict[str, Any]:
    """The limits that the user would have. Raises InvalidSetting, also where too many users have their own."""
    stored = rules.obeyed(rules.USER, settings)
    if any(stored.values()) and not EndUser.objects.filter(ANY, pk=user.pk).exists():
        others = EndUser.objects.filter(ANY, paywall=user.paywall_id).count()
        if others >= MAX_LIMITED_USERS:
            raise InvalidSetting(
                f"can't be set: {MAX_LIMITED_USERS:,} users of this paywall have limits of their own, which is the "
                "most; change the paywall's limits instead"
            )
    return stored


def update_user(user: EndUser, **settings: Unpack[UserSettings]) -> bool:
    """Change the user's own limits; whether anything differed. Raises InvalidSetting."""
    return _write_changes(user, check_user(user, **settings))


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
        stored["api_key"] = _encrypted(stored["api_key"], provider.api_key)
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


def _encrypted(plain: str, token: str) -> str:
    """The secret's token: the stored one where it says the same, since encrypting again makes another each time."""
    return token if _holds(token, plain) else secrets.encrypt(plain)


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
