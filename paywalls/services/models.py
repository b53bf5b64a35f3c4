"""Models that paywalls sell, and their prices."""

from typing import Any, Unpack

from django.db import transaction

from paywalls import events, prices, rules
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallModel, Provider
from paywalls.prices import PriceSettings
from paywalls.services.limits import RateSettings, SpendSettings
from paywalls.services.writing import refuse_taken, write_changes


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


def check_model(
    paywall: Paywall, model: PaywallModel | None, **settings: Unpack[ModelSettings]
) -> dict[str, Any]:
    """The settings that a new or the given model of the paywall would have."""
    stored = prices.checked(model, rules.obeyed(rules.MODEL, settings))
    refuse_taken(
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
    return write_changes(model, check_model(model.paywall, model, **settings))


def _of(model: PaywallModel | None) -> PaywallModel:
    """The model whose settings stay where none are given; a new one is given all of them."""
    assert model is not None
    return model
