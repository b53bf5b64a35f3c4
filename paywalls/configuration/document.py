"""The keys of a document, their rules and defaults. Reading touches no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paywalls import rules
from paywalls.configuration import prices
from paywalls.configuration.faults import Faults
from paywalls.configuration.sections import MISSING, Missing, Section
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallModel
from paywalls.models.catalogue import DEFAULT_MAX_OUTPUT_TOKENS

_DOCUMENT = {"tenant", "paywalls"}
_TENANT = {"name", "email"}
_PAYWALL = {"name", "mode", "trial_credit", "markup_percent", "providers", "models"}
_PROVIDER = {"name", "base_url", "api_key", "surfaces"}
_MODEL = {
    "id",
    "provider",
    "upstream_model",
    "display_name",
    "description",
    "pricing",
    "free",
    "cost",
    "max_output_tokens",
}

# Where the document says what a service knows by another name.
MODEL_KEYS = {"model_id": "id", **prices.PRICE_KEYS}


@dataclass(frozen=True)
class Entry:
    """One described thing: where it stands, what it is found by, and its settings (None: some are faulty)."""

    at: Section
    name: str | Missing
    settings: dict[str, Any] | None


@dataclass(frozen=True)
class ModelEntry(Entry):
    provider: str | Missing


@dataclass(frozen=True)
class PaywallEntry(Entry):
    providers: list[Entry]
    models: list[ModelEntry]


@dataclass(frozen=True)
class Plan:
    """What the document wants."""

    tenant: Entry
    paywalls: list[PaywallEntry]


def read(document: object, environ: Mapping[str, str], faults: Faults) -> Plan:
    """What the document wants; what is wrong with it goes to `faults`."""
    top = Section(document, "", keys=_DOCUMENT, faults=faults, environ=environ)
    tenant = _tenant(top.child("tenant", keys=_TENANT))
    paywalls = [_paywall(section) for section in top.children("paywalls", keys=_PAYWALL)]
    _refuse_twins(paywalls, "name")
    return Plan(tenant, paywalls)


def _tenant(at: Section) -> Entry:
    email = at.text("email", rules.email)
    return Entry(at, email, _sound({"email": email, "name": at.text("name", rules.TENANT["name"])}))


def _paywall(at: Section) -> PaywallEntry:
    name = at.text("name", rules.PAYWALL["name"])
    settings = {
        "name": name,
        "mode": at.text("mode", rules.mode, default=Paywall.Mode.DEFAULT.value),
        "trial_credit": at.dollars("trial_credit", default="0"),
        "markup_percent": at.percent("markup_percent", default="0"),
    }
    providers = [_provider(section) for section in at.children("providers", keys=_PROVIDER)]
    _refuse_twins(providers, "name")
    models = [_model(section, providers) for section in at.children("models", keys=_MODEL)]
    _refuse_twins(models, "id")
    return PaywallEntry(at, name, _sound(settings), providers, models)


def _provider(at: Section) -> Entry:
    name = at.text("name", rules.PROVIDER["name"])
    settings: dict[str, Any] = {"name": name, "base_url": at.text("base_url", rules.base_url)}
    if at.has("api_key"):
        settings["api_key"] = at.text("api_key", rules.secret)
    settings["surfaces"] = at.listed("surfaces", rules.surfaces)
    return Entry(at, name, _sound(settings))


def _model(at: Section, providers: list[Entry]) -> ModelEntry:
    name = at.text("id", rules.MODEL["model_id"])
    provider = at.text("provider", rules.PROVIDER["name"])
    settings = {
        "model_id": name,
        "upstream_model": at.text("upstream_model", rules.MODEL["upstream_model"]),
        "display_name": at.text("display_name", rules.MODEL["display_name"], default=""),
        "description": at.text("description", rules.MODEL["description"], default=""),
        **prices.pricing(at.child("pricing", keys=prices.PRICING)),
        "free": at.yes("free"),
        "max_output_tokens": at.whole(
            "max_output_tokens", rules.output_tokens, default=DEFAULT_MAX_OUTPUT_TOKENS
        ),
    }
    if at.has("cost"):
        # Without it what the provider charges stays as it is known: `sync_prices` may have found it.
        settings |= prices.cost(at.child("cost", keys=prices.PRICING))
        settings["cost_source"] = PaywallModel.CostSource.OPERATOR.value
    known = _upstream_is_known(at, provider, settings["upstream_model"], providers)
    return ModelEntry(at, name, _sound(settings) if known else None, provider)


def _upstream_is_known(at: Section, provider: str | Missing, upstream: Any, providers: list[Entry]) -> bool:
    """Whether the provider, where this document describes it, may know the upstream model."""
    for entry in providers:
        if provider and entry.name == provider and entry.settings and upstream:
            try:
                rules.upstream_of(entry.settings["base_url"], upstream)
            except InvalidSetting as fault:
                at.fault("upstream_model", fault.message)
                return False
    return True


def _sound(settings: dict[str, Any]) -> dict[str, Any] | None:
    return None if MISSING in settings.values() else settings


def _refuse_twins(entries: list[Any], key: str) -> None:
    first: dict[str, Section] = {}
    for entry in entries:
        if isinstance(entry.name, Missing):
            continue
        if entry.name in first:
            entry.at.fault(key, f"is already taken by {first[entry.name].path}")
        first.setdefault(entry.name, entry.at)
