"""What the gateway knows of a paywall: an immutable snapshot, cached in the process.

A snapshot is never trusted to be current. The hold's transaction compares its `version`, so that a changed price or a
revoked key takes effect on the very next request without a round trip of its own; decisions that place no hold ask
`refreshed()`.
"""

import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from django.conf import settings

from config import ids, secrets
from config.db import in_thread
from ledger import windows
from ledger.operations import Guard, OnModel
from paywalls import keys
from paywalls.callers import CallerRules
from paywalls.errors import PaywallArchived, UnknownKey
from paywalls.limits import NO_LIMITS, NO_RATES, Rates, UserLimits, limits_of, rates_of
from paywalls.models import EndUser, Paywall, PaywallModel, Playground, Provider, Route
from paywalls.models.limits import ANY
from paywalls.playgrounds import Link
from paywalls.pricing import Price
from paywalls.wording import Wording
from proxy.merging import Merged
from webhooks import outbox

# Keys remembered by one process; the least recently used one is forgotten.
MAX_CACHED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a provider may take: to connect, to its first byte, between two pieces, and in all."""

    connect: float
    first_byte: float
    idle: float
    total: float

    @classmethod
    def of(cls, provider: Provider) -> "Timeouts":
        """The provider's own, and the installation's where it has none. A hold covers no more than those in all."""
        total = settings.UPSTREAM_TOTAL_SECONDS
        return cls(
            connect=provider.connect_seconds or settings.UPSTREAM_CONNECT_SECONDS,
            first_byte=provider.first_byte_seconds or settings.UPSTREAM_FIRST_BYTE_SECONDS,
            idle=provider.idle_seconds or settings.UPSTREAM_IDLE_SECONDS,
            total=min(provider.total_seconds or total, total),
        )


@dataclass(frozen=True, slots=True)
class ProviderSnapshot:
    """Where a model's requests go; `api_key` is the plain key, in memory only."""

    name: str
    base_url: str
    api_key: str
    speaks: tuple[str, ...]
    # In shared mode: whether the installation is whom it bills.
    installation_pays: bool = False
    timeouts: Timeouts = field(default_factory=lambda: Timeouts.of(Provider()))

    def __repr__(self) -> str:
        return f"ProviderSnapshot({self.name!r}, {self.base_url!r})"


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """A model as it is sold now, by one of its routes: `provider`, `price` and `cost` are that route's."""

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
    # What each end user may ask of this model, and spend on it.
    rates: Rates = NO_RATES
    spend: OnModel | None = None
    # What the route's breaker is found by, and its place among the routes.
    route_id: uuid.UUID = field(default_factory=ids.new)
    priority: int = 0
    weight: int = 1
    # The same model by its further routes; none in those themselves.
    others: tuple["ModelSnapshot", ...] = ()

    def limited(self, max_output_tokens: int | None) -> "ModelSnapshot":
        """The model for somebody whose answers may have no more tokens than this."""
        if max_output_tokens is None or max_output_tokens >= self.max_output_tokens:
            return self
        others = tuple(replace(route, max_output_tokens=max_output_tokens) for route in self.others)
        return replace(self, max_output_tokens=max_output_tokens, others=others)

    def routes_for(self, surface: str) -> "list[ModelSnapshot]":
        """The routes whose providers speak an API."""
        return [route for route in (self, *self.others) if surface in route.provider.speaks]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the paywall's own answers are worded; `secret` is the plain one, in memory only."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Voice:
    """How the paywall speaks where the model doesn't; `as_errors` for clients that don't say otherwise."""

    wording: Wording
    as_errors: bool = False
    endpoint: Endpoint | None = None

    @classmethod
    def of(cls, paywall: Paywall) -> "Voice":
        """The voice of a paywall as it is now."""
        endpoint = None
        if paywall.response_url:
            endpoint = Endpoint(paywall.response_url, secrets.decrypt(paywall.response_secret))
        return cls(Wording.of(paywall), paywall.replies == Paywall.Replies.ERROR, endpoint)


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What all visitors of a playground together may do: requests a minute, and nano-dollars a day."""

    playground_id: uuid.UUID
    requests_per_minute: int
    spend_per_day: int


@dataclass(frozen=True, slots=True)
class PaywallSnapshot:
    """A paywall at one version of its configuration."""

    id: uuid.UUID
    name: str
    mode: str
    version: int
    models: dict[str, ModelSnapshot]
    voice: Voice
    callers: CallerRules
    # Whether plain answers are kept for a retry with the same Idempotency-Key.
    replays: bool = False
    # The keys of the events that a live subscription takes.
    wanted_events: frozenset[str] = frozenset()
    # The limits of each end user, and those of the users who have their own.
    limits: UserLimits = NO_LIMITS
    own_limits: dict[str, UserLimits] = field(default_factory=dict)
    # What a wallet without limits of its own may spend.
    spend_limits: windows.Limits = windows.NO_LIMITS
    # When the key that led here ends (Unix time), where it was rotated.
    key_ends: float | None = None
    # For requests that come through the paywall's playground.
    link: LinkLimits | None = None

    def limits_of(self, external_id: str) -> UserLimits:
        """The limits of one end user."""
        return self.own_limits.get(external_id, self.limits)

    @property
    def guard(self) -> Guard:
        """What makes a hold refuse when the configuration has moved on."""
        return Guard(self.id, self.version)


# What names a paywall: a key, or the link of its playground.
Key = str | Link


class Snapshots:
    """The process's cache: key digest, or link -> snapshot."""

    def __init__(self) -> None:
        self._cache: OrderedDict[Key, PaywallSnapshot] = OrderedDict()
        self._loads = Merged(self._load)
        self._versions = Merged(_look_at_version)

    async def get(self, key: Key) -> PaywallSnapshot:
        """The cached snapshot behind a key, loaded where it is new.

        Raises UnknownKey or PaywallArchived; PlaygroundClosed for a link.
        """
        digest = _digest(key)
        cached = self._cache.get(digest)
        if cached and (cached.key_ends is None or time.time() < cached.key_ends):
            self._cache.move_to_end(digest)
            return cached
        return await self.reload(key)

    async def reload(self, key: Key) -> PaywallSnapshot:
        """The snapshot as the database has it now. Raises what `get` does, also of late."""
        return await self._loads(key)

    async def _load(self, key: Key) -> PaywallSnapshot:
        digest = _digest(key)
        self._cache.pop(digest, None)
        snapshot = await in_thread(_load, key)
        self._cache[digest] = snapshot
        while len(self._cache) > MAX_CACHED_KEYS:
            self._cache.popitem(last=False)
        return snapshot

    async def refreshed(self, key: Key, seen: PaywallSnapshot) -> PaywallSnapshot:
        """`seen` where it is still current, else the new one. Raises what `get` does."""
        version = await self._versions(seen.id)
        return seen if version == seen.version else await self.reload(key)


def _digest(key: Key) -> Key:
    """What the cache knows a key by: never the key itself."""
    return keys.digest(key) if isinstance(key, str) else key


async def _look_at_version(paywall_id: uuid.UUID) -> int | None:
    return await in_thread(_version, paywall_id)


def _version(paywall_id: uuid.UUID) -> int | None:
    return Paywall.objects.filter(pk=paywall_id).values_list("config_version", flat=True).first()


def _load(key: Key) -> PaywallSnapshot:
    """The paywall behind a key or a link."""
    if isinstance(key, Link):
        return _of_playground(key.open())
    found = keys.find(key)
    if found is None:
        raise UnknownKey
    if found.paywall.archived_at:
        raise PaywallArchived
    ends = found.expires_at.timestamp() if found.expires_at else None
    return replace(_read(found.paywall), key_ends=ends)


def _of_playground(playground: Playground) -> PaywallSnapshot:
    """The paywall as its playground's visitors find it: with the link's limits, where those are lower."""
    paywall = playground.paywall
    paywall.requests_per_minute = min(
        playground.visitor_requests_per_minute,
        paywall.requests_per_minute or playground.visitor_requests_per_minute,
    )
    snapshot = _read(paywall)
    return replace(
        snapshot,
        spend_limits=snapshot.spend_limits.within(windows.Limits(day=playground.visitor_spend_per_day)),
        link=LinkLimits(playground.pk, playground.link_requests_per_minute, playground.link_spend_per_day),
    )


def _read(paywall: Paywall) -> PaywallSnapshot:
    """Read a paywall. The version was read first: what changes while we read makes the snapshot stale, not wrong."""
    is_shared = paywall.mode == Paywall.Mode.SHARED
    providers: dict[uuid.UUID, ProviderSnapshot] = {
        row.id: ProviderSnapshot(
            row.name,
            row.base_url,
            secrets.decrypt(row.api_key),
            row.speaks,
            is_shared and row.installation_pays,
            Timeouts.of(row),
        )
        for row in paywall.providers.all()
    }
    markup = int(paywall.markup_percent * 10_000)
    models = {
        row.model_id: _model(row, providers, markup)
        for row in paywall.models.prefetch_related("routes").all()
    }
    limits = limits_of(paywall)
    return PaywallSnapshot(
        id=paywall.id,
        name=paywall.name,
        mode=paywall.mode,
        version=paywall.config_version,
        models=models,
        voice=Voice.of(paywall),
        callers=CallerRules.of(paywall),
        replays=paywall.replay_answers,
        wanted_events=outbox.wanted_events(paywall.id),
        limits=limits,
        own_limits={
            user.external_id: limits_of(user, limits)
            for user in EndUser.objects.filter(ANY, paywall=paywall).iterator()
        },
        spend_limits=windows.Limits(paywall.spend_per_day, paywall.spend_per_month),
    )


def _model(row: PaywallModel, providers: dict[uuid.UUID, ProviderSnapshot], markup: int) -> ModelSnapshot:
    spend = windows.Limits(row.spend_per_day, row.spend_per_month)
    own = ModelSnapshot(
        model_id=row.model_id,
        upstream_model=row.upstream_model,
        provider=providers[row.provider_id],
        price=row.price(markup),
        cost=row.cost(),
        max_output_tokens=row.max_output_tokens,
        display_name=row.display_name or row.model_id,
        description=row.description,
        created=int(row.created_at.timestamp()),
        rates=rates_of(row),
        spend=None if spend == windows.NO_LIMITS else OnModel(row.id, spend),
        route_id=row.id,
        priority=row.priority,
        weight=row.weight,
    )
    return replace(own, others=tuple(_others(own, row.routes.all(), providers, markup)))


def _others(
    own: ModelSnapshot, routes: Iterable[Route], providers: dict[uuid.UUID, ProviderSnapshot], markup: int
) -> Iterator[ModelSnapshot]:
    for route in routes:
        yield replace(
            own,
            upstream_model=route.upstream_model,
            provider=providers[route.provider_id],
            price=route.own_price(markup) or own.price,
            cost=route.own_cost() or own.cost,
            route_id=route.id,
            priority=route.priority,
            weight=route.weight,
        )
