"""What providers charge, in a document of `manage.py apply`: its list `provider_costs`, for the whole installation."""

from collections.abc import Sequence
from typing import Any

from ledger.rating.catalogue import PROVIDERS
from paywalls import rules
from paywalls.configuration.parts import Listed, Part
from paywalls.configuration.sections import MISSING, Missing, Section
from paywalls.models import ProviderCost, Tenant

_TOKENS = ("prompt", "completion")
_CACHES = ("cache_read", "cache_write")
_OTHERS = ("request", "image", "unit")
_MAX_MODEL = 128


def _read(at: Section) -> Listed | None:
    provider = at.text("provider", rules.one_of(*PROVIDERS))
    model = at.text("model", rules.line(_MAX_MODEL))
    costs: dict[str, Any] = {
        **{f"{name}_cost": at.dollars(name) for name in _TOKENS},
        **{f"{name}_cost": at.dollars_or_none(name) for name in _CACHES},
        **{f"{name}_cost": at.dollars(name, default="0") for name in _OTHERS},
    }
    if isinstance(provider, Missing) or isinstance(model, Missing) or MISSING in costs.values():
        return None
    return Listed((provider, model), costs)


def _write(tenant: Tenant, entries: Sequence[Listed]) -> None:
    known = {(row.provider, row.model): row for row in ProviderCost.objects.all()}
    for entry in entries:
        provider, model = entry.name
        row = known.get(entry.name) or ProviderCost(provider=provider, model=model)
        changed = [name for name, cost in entry.settings.items() if getattr(row, name) != cost]
        for name in changed:
            setattr(row, name, entry.settings[name])
        if row._state.adding:
            row.save(force_insert=True)
        elif changed:
            row.save(update_fields=changed)


PART = Part("provider_costs", {"provider", "model", *_TOKENS, *_CACHES, *_OTHERS}, "model", _read, _write)
