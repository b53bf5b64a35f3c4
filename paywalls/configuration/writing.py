"""Bringing the database in line with a document.

What the document lists becomes as it says, absent optional keys taking their defaults; what it doesn't list
is left alone. Everything is tried in one transaction, so that all faults are told at once and any fault
undoes it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from django.db import connection, transaction

from paywalls import keys, offers, playgrounds, routes, services
from paywalls.configuration.calls import CALL_KEYS
from paywalls.configuration.document import MODEL_KEYS, Entry, ModelEntry, PaywallEntry, read
from paywalls.configuration.faults import Faults
from paywalls.configuration.routes import ROUTE_KEYS, RouteEntry
from paywalls.configuration.sections import MISSING, Missing, Section
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, PaywallModel, Provider, Route, Tenant
from paywalls.routes import RouteSettings

# Two documents at once would both find a thing absent and both make it; the lock ends with the transaction.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('paywalls.configuration'))"


def apply_document(document: object, environ: Mapping[str, str]) -> dict[str, Any]:
    """Make what the document describes and the database lacks, and change what differs.

    Answers `{"tenant": {"id"}, "paywalls": [{"id", "name", "key"}]}`; `key` is the key of a paywall that this
    call made, else None. Raises InvalidDocument with every fault; then nothing is written.
    """
    faults = Faults()
    plan = read(document, environ, faults)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK)
        tenant = _tenant(plan.tenant)
        paywalls = [_paywall(tenant, entry) for entry in plan.paywalls]
        faults.raise_any()
        assert tenant is not None
        for part, entries in plan.parts:
            if entries:
                part.write(tenant, entries)
    return {"tenant": {"id": tenant.public_id}, "paywalls": paywalls}


def _tenant(entry: Entry) -> Tenant | None:
    """The tenant, made or changed; None where the document doesn't say who it is."""
    if isinstance(entry.name, Missing):
        return None
    tenant = Tenant.objects.filter(email=entry.name).first()
    if entry.settings is None:
        return tenant
    if tenant is None:
        return services.create_tenant(**entry.settings)
    services.update_tenant(tenant, **entry.settings)
    return tenant


def _paywall(tenant: Tenant | None, entry: PaywallEntry) -> dict[str, Any] | None:
    """The answer for one paywall with all it sells; None where a fault (noted) prevents it."""
    paywall, key = _paywall_row(tenant, entry)
    for provider in entry.providers:
        if paywall:
            _provider(paywall, provider)
    _models(paywall, entry)
    if paywall:
        _payments(paywall, entry)
        if entry.playground:
            playgrounds.configure(paywall, **entry.playground)
    return {"id": paywall.public_id, "name": paywall.name, "key": key} if paywall else None


def _paywall_row(tenant: Tenant | None, entry: PaywallEntry) -> tuple[Paywall | None, str | None]:
    """The paywall and, where it was made just now, its key."""
    if tenant is None or isinstance(entry.name, Missing):
        return None, None
    known = tenant.paywalls.filter(name=entry.name).first()
    if known is None and entry.settings:
        with _faults_at(entry.at, CALL_KEYS):
            made = services.create_paywall(tenant, **entry.settings)
            return made, keys.issue_key(made)
    if known and entry.settings:
        with _faults_at(entry.at, CALL_KEYS):
            services.update_paywall(known, **entry.settings)
    return known, None


def _provider(paywall: Paywall, entry: Entry) -> None:
    if entry.settings is None:
        return
    known = paywall.providers.filter(name=entry.name).first()
    with _faults_at(entry.at):
        if known:
            services.update_provider(known, **entry.settings)
        else:
            services.create_provider(paywall, **entry.settings)


def _models(paywall: Paywall | None, entry: PaywallEntry) -> None:
    providers = {row.name: row for row in paywall.providers.all()} if paywall else {}
    known = {row.model_id: row for row in paywall.models.select_related("provider")} if paywall else {}
    described = {provider.name for provider in entry.providers}
    for model in entry.models:
        provider = providers.get(model.provider) if isinstance(model.provider, str) else None
        if provider is None:
            # A faulty description of it is noted where it stands, be it of its name.
            if isinstance(model.provider, str) and not described & {model.provider, MISSING}:
                model.at.fault("provider", _no_provider(model, sorted({*providers, *map(str, described)})))
            continue
        if paywall is None or model.settings is None:
            continue
        with _faults_at(model.at, MODEL_KEYS):
            if row := known.get(model.settings["model_id"]):
                services.update_model(row, provider=provider, **model.settings)
            else:
                row = services.create_model(paywall, provider=provider, **model.settings)
                known[row.model_id] = row
            _routes(row, model, providers)


def _routes(row: PaywallModel, model: ModelEntry, providers: Mapping[str, Provider]) -> None:
    """The model's further routes; where the document says nothing of them they stay."""
    wanted: list[RouteSettings] = []
    for route in model.routes or []:
        provider = providers.get(route.provider) if isinstance(route.provider, str) else None
        if provider is None and route.provider:
            route.at.fault("provider", _no_provider(route, sorted(providers)))
        if provider and route.settings is not None:
            wanted.append(cast(RouteSettings, {"provider": provider, **route.settings}))
    if model.routes is None or len(wanted) < len(model.routes):
        return
    keys = [(settings["provider"].pk, settings["upstream_model"]) for settings in wanted]
    for index, entry in enumerate(model.routes):
        if keys[index] in keys[:index]:
            entry.at.fault("upstream_model", "is another route of this model")
            return
    for entry, settings in zip(model.routes, wanted, strict=True):
        with _faults_at(entry.at, ROUTE_KEYS):
            routes.check_route(row, _known_route(row, settings), **settings)
    with suppress(InvalidSetting):  # noted above, at its place
        routes.set_routes(row, wanted)


def _known_route(row: PaywallModel, settings: RouteSettings) -> Route | None:
    return row.routes.filter(provider=settings["provider"], upstream_model=settings["upstream_model"]).first()


def _payments(paywall: Paywall, entry: PaywallEntry) -> None:
    if entry.payments.topup:
        offers.configure_topup(paywall, entry.payments.topup)
    for at, settings in entry.payments.plans:
        with _faults_at(at, {"price_id": "price"}):
            offers.configure_plan(paywall, settings)


def stripe_keys(document: object, environ: Mapping[str, str]) -> list[tuple[str, Paywall | None, str]]:
    """(paywall's name, the paywall where it exists, key) of each Stripe key in a document.

    Writes nothing: whoever applies the document has Stripe verify them before, and connects them after. None of a
    faulty document, whose faults `apply_document` tells.
    """
    plan = read(document, environ, faults := Faults())
    if faults:
        return []
    email = plan.tenant.name
    found = []
    for entry in plan.paywalls:
        if entry.payments.stripe_key:
            known = Paywall.objects.filter(tenant__email=email, name=entry.name).first()
            found.append((str(entry.name), known, entry.payments.stripe_key))
    return found


def _no_provider(model: ModelEntry | RouteEntry, names: list[str]) -> str:
    known = f"it has {', '.join(names)}" if names else "it has none"
    return f'"{model.provider}" is no provider of this paywall ({known})'


@contextmanager
def _faults_at(at: Section, names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Note what a service refuses at the key of the document that says so."""
    try:
        yield
    except InvalidSetting as fault:
        at.fault((names or {}).get(fault.param or "", fault.param or ""), fault.message)
