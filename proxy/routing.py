"""Which route serves a request: by priority, then by weight, around those that have failed lately."""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.conf import settings

from proxy.snapshot import ModelSnapshot


@dataclass(slots=True)
class _Trouble:
    """A route that has failed: how often in a row, and until when it rests (the clock's seconds)."""

    failures: int = 0
    rests_until: float = 0.0


class Routing:
    """The order of routes, and a breaker for each, of one process. A route that works costs one look into a dict.

    A breaker opens when BREAKER_FAILURES requests in a row have failed on its route, and for BREAKER_SECONDS nobody
    asks it. Then one request may try; the next one may only after as long again, or at once if that one succeeded.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, randomness: random.Random | None = None
    ) -> None:
        self._clock = clock
        self._random = randomness or random.Random()  # noqa: S311  (spreads load, guards nothing)
        self._troubles: dict[uuid.UUID, _Trouble] = {}

    def in_order(self, routes: Sequence[ModelSnapshot]) -> list[ModelSnapshot]:
        """The routes in the order to try them: lower priorities first, those of one priority by weighted chance."""
        if len(routes) == 1:
            return [routes[0]]
        # The least of exponential waits falls on a route with a chance in proportion to its rate.
        return sorted(routes, key=lambda route: (route.priority, self._random.expovariate(route.weight)))

    def may_try(self, route: ModelSnapshot) -> bool:
        """Whether the route may be asked now. Where it was resting, a true answer is one request's alone."""
        trouble = self._troubles.get(route.route_id)
        if trouble is None or trouble.failures < settings.BREAKER_FAILURES:
            return True
        now = self._clock()
        if now < trouble.rests_until:
            return False
        # Whatever becomes of this try, even nothing at all, the next one is due then.
        trouble.rests_until = now + settings.BREAKER_SECONDS
        return True

    def failed(self, route: ModelSnapshot) -> None:
        """A request gave the route up."""
        trouble = self._troubles.setdefault(route.route_id, _Trouble())
        trouble.failures += 1
        trouble.rests_until = self._clock() + settings.BREAKER_SECONDS

    def works(self, route: ModelSnapshot) -> None:
        """The route has answered."""
        if self._troubles:
            self._troubles.pop(route.route_id, None)

    def wait(self, round: int) -> float:
        """Seconds before the routes are asked again after so many rounds: doubling from 0.25 s, half of it jitter."""
        most: float = min(0.25 * 2**round, 4.0)
        return self._random.uniform(most / 2, most)
