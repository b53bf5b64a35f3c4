"""The keys of a document, their rules and defaults. Reading touches no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paywalls import rules
from paywalls.configuration import calls, limits, parts, payments, playground, prices, routes
from paywalls.configuration.faults import Faults
from paywalls.configuration.parts import Listed, Part
from paywalls.configuration.sections import MISSING, Missing, Section
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallModel
from paywalls.models.catalogue import DEFAULT_MAX_OUTPUT_TOKENS
from paywalls.models.limits import RATES, SPEND
from paywalls.playgrounds import PlaygroundSettings

_DOCUMENT = {"tenant", "paywalls"}
_TENANT = {"name", "email", "credits_per_usd", "tier", "uncovered_usage"}
_PAYWALL = {
    "name",
    "mode",
    "description",
    "icon_url",
    "trial_credit",
    "markup_percent",
    "replay_answers",
    "limits",
    "providers",
    "models",
    "playground",
    *calls.KEYS,
    *payments.KEYS,
}
_PROVIDER = {"name", "base_url", "api_key", "surfaces", "installation_pays", *routes.SECONDS}
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
    "limits",
    "priority",
    "weight",
    "routes",
}

# Where the document says what a service knows by another name.
MODEL_KEYS = {"model_id": "id", **prices.PRICE_KEYS, **{name: f"limits.{name}" for name in (*RATES, *SPEND)}}


@dataclass(frozen=True)
class Entry:
    """One described thing: where it stands, what it is found by, and its settings (None: some are faulty)."""

    at: Section
    name: str | Missing
    settings: dict[str, Any] | None


@dataclass(frozen=True)
class ModelEntry(Entry):
    """`routes` is None where the document says nothing of them."""

    provider: str | Missing
    routes: list[routes.RouteEntry] | None


@dataclass(frozen=True)
class PaywallEntry(Entry):
    providers: list[Entry]
    models: list[ModelEntry]
    payments: payments.Payments
    playground: PlaygroundSettings | None


@dataclass(frozen=True)
class Plan:
    """What the document wants; `parts` are the lists of other apps."""

    tenant: Entry
    paywalls: list[PaywallEntry]
    parts: list[tuple[Part, list[Listed]]]


def read(document: object, environ: Mapping[str, str], faults: Faults) -> Plan:
    """What the document wants; what is wrong with it goes to `faults`."""
    lists = parts.registered()
    keys = {*_DOCUMENT, *(part.key for part in lists)}
    top = Section(document, "", keys=keys, faults=faults, environ=environ)
    tenant = _tenant(top.child("tenant", keys=_TENANT))
    paywalls = [_paywall(section) for section in top.children("paywalls", keys=_PAYWALL)]
    _refuse_twins(paywalls, "name")
    return Plan(tenant, paywalls, [(part, parts.read(top, part)) for part in lists])


def _tenant(at: Section) -> Entry:
    email = at.text("email", rules.email)
    settings: dict[str, Any] = {"email": email, "name": at.text("name", rules.TENANT["name"])}
    # What the document doesn't say stays: operators set it on their site, too.
    for key in ("tier", "uncovered_usage"):
        if at.has(key):
            settings[key] = at.text(key, rules.TENANT[key])
    if at.has("credits_per_usd"):
        settings["credits_per_usd"] = at.whole("credits_per_usd", rules.TENANT["credits_per_usd"])
    return Entry(at, email, _sound(settings))


def _paywall(at: Section) -> PaywallEntry:
    name = at.text("name", rules.PAYWALL["name"])
    settings = {
        "name": name,
        "mode": at.text("mode", rules.mode, default=Paywall.Mode.DEFAULT.value),
        "description": at.text("description", rules.PAYWALL["description"], default=""),
        "icon_url": at.text("icon_url", rules.icon_url, default=""),
        "trial_credit": at.dollars("trial_credit", default="0"),
        "markup_percent": at.percent("markup_percent", default="0"),
        **limits.of_paywall(at.optional_child("limits", keys=limits.PAYWALL)),
        **calls.call_settings(at),
        "replay_answers": at.yes("replay_answers"),
    }
    providers = [_provider(section) for section in at.children("providers", keys=_PROVIDER)]
    _refuse_twins(providers, "name")
    models = [_model(section, providers) for section in at.children("models", keys=_MODEL)]
    _refuse_twins(models, "id")
    return PaywallEntry(
        at,
        name,
        _sound(settings),
        providers,
        models,
        payments.read(at, settings["mode"]),
        playground.read(at),
    )


def _provider(at: Section) -> Entry:
    name = at.text("name", rules.PROVIDER["name"])
    settings: dict[str, Any] = {"name": name, "base_url": at.text("base_url", rules.base_url)}
    if at.has("api_key"):
        settings["api_key"] = at.text("api_key", rules.secret)
    settings["surfaces"] = at.listed("surfaces", rules.surfaces)
    settings["installation_pays"] = at.yes("installation_pays")
    settings |= routes.timeouts(at)
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
        **limits.of_model(at.optional_child("limits", keys=limits.MODEL)),
        **routes.order(at, 0),
    }
    if at.has("cost"):
        # Without it what the provider charges stays as it is known: `sync_prices` may have found it.
        settings |= prices.cost(at.child("cost", keys=prices.PRICING))
        settings["cost_source"] = PaywallModel.CostSource.OPERATOR.value
    known = _upstream_is_known(at, provider, settings["upstream_model"], providers)
    return ModelEntry(at, name, _sound(settings) if known else None, provider, routes.read_routes(at))


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
