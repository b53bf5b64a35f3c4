"""What the gateway knows of a paywall: an immutable snapshot, cached in the process.

A snapshot is never trusted to be current. The hold's transaction compares its `version`, so that a changed price or a
revoked key takes effect on the very next request without a round trip of its own; decisions that place no hold ask
`refreshed()`.
"""

import uuid
from collections import OrderedDict
from dataclasses import dataclass

from config import secrets
from config.db import in_thread
from ledger.operations import Guard
from paywalls import keys
from paywalls.errors import UnknownKey
from paywalls.models import Paywall, PaywallModel
from paywalls.pricing import Price
from webhooks import outbox

# Keys remembered by one process; the least recently used one is forgotten.
MAX_CACHED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class ProviderSnapshot:
    """Where a model's requests go; `api_key` is the plain key, in memory only."""

    name: str
    base_url: str
    api_key: str
    speaks: tuple[str, ...]

    def __repr__(self) -> str:
        return f"ProviderSnapshot({self.name!r}, {self.base_url!r})"


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """A model as it is sold now."""

    model_id: str
    upstream_model: str
    provider: ProviderSnapshot
    price: Price
    # What the provider charges the operator, where that is known.
    cost: Price | None
    max_output_tokens: int
    display_name: str
    description: str
    created: int


@dataclass(frozen=True, slots=True)
class PaywallSnapshot:
    """A paywall at one version of its configuration."""

    id: uuid.UUID
    name: str
    mode: str
    version: int
    models: dict[str, ModelSnapshot]
    # The keys of the events that a live subscription takes.
    wanted_events: frozenset[str] = frozenset()

    @property
    def guard(self) -> Guard:
        """What makes a hold refuse when the configuration has moved on."""
        return Guard(self.id, self.version)


class Snapshots:
    """The process's cache: key digest -> snapshot."""

    def __init__(self) -> None:
        self._cache: OrderedDict[str, PaywallSnapshot] = OrderedDict()

    async def get(self, key: str) -> PaywallSnapshot:
        """The cached snapshot behind a key, loaded where it is new. Raises UnknownKey."""
        digest = keys.digest(key)
        if cached := self._cache.get(digest):
            self._cache.move_to_end(digest)
            return cached
        return await self.reload(key)

    async def reload(self, key: str) -> PaywallSnapshot:
        """The snapshot as the database has it now. Raises UnknownKey, also for a key revoked meanwhile."""
        digest = keys.digest(key)
        self._cache.pop(digest, None)
        snapshot = await in_thread(_load, key)
        self._cache[digest] = snapshot
        while len(self._cache) > MAX_CACHED_KEYS:
            self._cache.popitem(last=False)
        return snapshot

    async def refreshed(self, key: str, seen: PaywallSnapshot) -> PaywallSnapshot:
        """`seen` where it is still current, else the new one. Raises UnknownKey."""
        version = await in_thread(_version, seen.id)
        return seen if version == seen.version else await self.reload(key)


def _version(paywall_id: uuid.UUID) -> int | None:
    return Paywall.objects.filter(pk=paywall_id).values_list("config_version", flat=True).first()


def _load(key: str) -> PaywallSnapshot:
    """Read a paywall. The version is read first: what changes while we read makes the snapshot stale, not wrong."""
    found = keys.find(key)
    if found is None:
        raise UnknownKey
    paywall = found.paywall
    providers: dict[uuid.UUID, ProviderSnapshot] = {
        row.id: ProviderSnapshot(row.name, row.base_url, secrets.decrypt(row.api_key), row.speaks)
        for row in paywall.providers.all()
    }
    markup = int(paywall.markup_percent * 10_000)
    models = {row.model_id: _model(row, providers[row.provider_id], markup) for row in paywall.models.all()}
    return PaywallSnapshot(
        id=paywall.id,
        name=paywall.name,
        mode=paywall.mode,
        version=paywall.config_version,
        models=models,
        wanted_events=outbox.wanted_events(paywall.id),
    )


def _model(row: PaywallModel, provider: ProviderSnapshot, markup: int) -> ModelSnapshot:
    return ModelSnapshot(
        model_id=row.model_id,
        upstream_model=row.upstream_model,
        provider=provider,
        price=row.price(markup),
        cost=row.cost(),
        max_output_tokens=row.max_output_tokens,
        display_name=row.display_name or row.model_id,
        description=row.description,
        created=int(row.created_at.timestamp()),
    )
