"""Which route is asked: by priority and weight, around those that rest."""

import asyncio
import math
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config import ids
from paywalls.errors import PaywallArchived
from paywalls.limits import NO_LIMITS
from paywalls.pricing import Price
from proxy import provider_errors
from proxy.admission import Admission
from proxy.forwarding import Forwarding
from proxy.provider_errors import RouteFailed
from proxy.routing import Routing
from proxy.snapshot import ModelSnapshot, ProviderSnapshot


def route(name: str, priority: int = 0, weight: int = 1) -> ModelSnapshot:
    return ModelSnapshot(
        model_id="m",
        upstream_model=name,
        provider=ProviderSnapshot(name, "https://up.test/v1", "", ("chat",)),
        price=Price(prompt=1, completion=1),
        cost=None,
        max_output_tokens=10,
        display_name="m",
        description="",
        created=0,
        route_id=ids.new(),
        priority=priority,
        weight=weight,
    )


class Clock:
    """Seconds that pass when a test says so."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def routing(clock: Clock, settings) -> Routing:
    settings.BREAKER_FAILURES, settings.BREAKER_SECONDS = 3, 15.0
    return Routing(clock, random.Random(7))


def names(routes: list[ModelSnapshot]) -> list[str]:
    return [one.upstream_model for one in routes]


def test_lower_priorities_are_asked_first(routing: Routing) -> None:
    routes = [route("last", 9), route("first", 0), route("second", 1)]
    assert names(routing.in_order(routes)) == ["first", "second", "last"]


def test_routes_of_one_priority_share_by_weight(routing: Routing) -> None:
    routes = [route("heavy", weight=3), route("light", weight=1), route("fallback", 1, weight=1_000)]
    firsts = Counter(names(routing.in_order(routes))[0] for _ in range(4_000))
    assert firsts["fallback"] == 0
    assert firsts["heavy"] / 4_000 == pytest.approx(0.75, abs=0.03)


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_try_when_it_has_rested(
    routing: Routing, clock: Clock
) -> None:
    one = route("one")
    for _ in range(2):
        routing.failed(one)
    assert routing.may_try(one)
    routing.failed(one)
    assert not routing.may_try(one)
    clock.now += 14.9
    assert not routing.may_try(one)
    clock.now += 0.2
    assert [routing.may_try(one) for _ in range(3)] == [True, False, False]
    # That try never said how it ended: the next one is due as long after it.
    clock.now += 15.1
    assert routing.may_try(one)
    routing.works(one)
    assert [routing.may_try(one) for _ in range(3)] == [True, True, True]


def test_a_success_in_between_starts_the_count_anew(routing: Routing) -> None:
    one = route("one")
    for _ in range(5):
        routing.failed(one)
        routing.failed(one)
        routing.works(one)
    assert routing.may_try(one)


def test_one_routes_breaker_is_no_others(routing: Routing) -> None:
    one, other = route("one"), route("other")
    for _ in range(3):
        routing.failed(one)
    assert (routing.may_try(one), routing.may_try(other)) == (False, True)


@pytest.mark.parametrize(
    ("status", "retry_after", "again", "status_told", "is_fault"),
    [
        (500, None, True, 502, True),
        (503, "2", True, 502, True),
        (503, "60", False, 502, True),
        (408, None, True, 502, True),
        (429, None, True, 503, False),
        (429, "5", True, 503, False),
        (429, "6", False, 503, False),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", False, 503, False),
        (429, "nan", False, 503, False),
        (401, None, False, 502, True),
        (402, None, False, 502, True),
        (302, None, False, 502, True),
    ],
)
def test_what_a_status_means_for_the_route(
    status: int, retry_after: str | None, again: bool, status_told: int, is_fault: bool
) -> None:
    failure = provider_errors.failure(status, retry_after)
    assert (failure.again, failure.told.status, failure.is_fault) == (again, status_told, is_fault)


# --- Several routes, one request -----------------------------------------------------------------------------


class Trying(Forwarding):
    """One whose routes do what a test says: fail, or serve."""

    def __init__(self, routing: Routing, failing: dict[str, RouteFailed]) -> None:
        self._gateway: Any = SimpleNamespace(routing=routing)
        self._record: Any = SimpleNamespace(attempts=0)
        self.failing = failing
        self.asked: list[str] = []

    async def _try(self, route: ModelSnapshot, deadline: float) -> RouteFailed | None:
        self._record.attempts += 1
        self.asked.append(route.upstream_model)
        return self.failing.get(route.upstream_model)


def tried(routing: Routing, routes: list[ModelSnapshot], failing: dict[str, RouteFailed]) -> list[str]:
    """Who was asked, by one request with the time of the world."""

    async def run() -> list[str]:
        trying = Trying(routing, failing)
        await trying._try_routes(routes, math.inf)
        return trying.asked

    return asyncio.run(run())


def test_a_route_that_fails_while_another_serves_comes_to_rest(routing: Routing) -> None:
    routes = [route("broken", 0), route("sound", 1)]
    failing = {"broken": provider_errors.unreachable()}
    for _ in range(3):
        assert tried(routing, routes, failing) == ["broken", "sound"]
    assert tried(routing, routes, failing) == ["sound"]


def test_a_route_that_is_only_busy_does_not(routing: Routing) -> None:
    routes = [route("busy", 0), route("sound", 1)]
    failing = {"busy": provider_errors.failure(429, None)}
    for _ in range(5):
        assert tried(routing, routes, failing) == ["busy", "sound"]


def test_all_routes_are_asked_once_and_together_no_oftener_than_the_attempts(
    routing: Routing, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "wait", lambda round: 0.0)
    settings.UPSTREAM_ATTEMPTS = 3
    two, four = ([route(name, number) for number, name in enumerate(names)] for names in ("ab", "abcd"))
    failing = {name: provider_errors.unreachable() for name in "abcd"}
    assert tried(routing, two, failing) == ["a", "b", "a"]
    assert tried(routing, four, failing) == ["a", "b", "c", "d"]


def test_a_model_that_no_provider_speaks_for_is_looked_at_again_before_it_is_refused() -> None:
    """It may have got another provider, or the paywall may be archived by now."""
    stale = SimpleNamespace(models={"m": route("up")}, limits_of=lambda user: NO_LIMITS)

    class Archived:
        async def refreshed(self, key: str, seen: Any) -> Any:
            raise PaywallArchived

    asked: Any = SimpleNamespace(model="m", surface=SimpleNamespace(name="responses"))
    user: Any = SimpleNamespace(external_id="alice")
    gateway: Any = SimpleNamespace(snapshots=Archived())
    nothing: Any = None
    admission = Admission(gateway, "key", cast(Any, stale), asked, user, nothing, nothing)
    with pytest.raises(PaywallArchived):
        asyncio.run(admission.run())
