"""Whether an identified request may go: the model that it asks for, its user's limits, the hold for the worst it costs.

Who asks was settled before, in `call.py` and `callers.py`. What is refused without a hold is checked against the
database's version first; the hold itself checks it, so that a request that is let in pays no query for that.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from config.db import in_thread
from config.errors import ApiError, Unavailable
from ledger import topups
from ledger.errors import (
    Blocked,
    ConfigChanged,
    InsufficientFunds,
    ModelLimitReached,
    NotConnected,
    Refusal,
    SpendLimitReached,
)
from paywalls import connections, pricing
from paywalls.errors import UserBlocked
from paywalls.limits import UserLimits
from paywalls.users import UserRef
from paywalls.wording import Case
from proxy import decisions, events
from proxy.callers import CallerRulesChanged
from proxy.decisions import Decision
from proxy.gateway import Gateway
from proxy.limits.allowance import Allowance
from proxy.limits.errors import ModelNotAllowed, OverLimit
from proxy.linkbudget import LinkSpent
from proxy.reservation import Reservation
from proxy.snapshot import Key, ModelSnapshot, PaywallSnapshot
from proxy.surfaces import ModelRequest

# An operator who saves again and again while one request is being admitted: after so many tries it gives way.
MAX_RELOADS = 5


class ModelNotFound(ApiError):
    """The paywall does not sell this model."""

    status = 404
    code = "model_not_found"
    param = "model"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model: this paywall does not sell {model[:128]!r}. GET /v1/models lists what it sells."
        )


class SurfaceNotSpoken(ApiError):
    """None of the model's providers answers this API."""

    code = "surface_not_supported"
    param = "model"

    def __init__(self, model: ModelSnapshot, surface: str) -> None:
        spoken = dict.fromkeys(name for route in (model, *model.others) for name in route.provider.speaks)
        super().__init__(
            f"model: {model.model_id} can't be asked at this endpoint; its provider speaks "
            f"{', '.join(spoken)}, not {surface}."
        )


class SpendLimited(ApiError):
    """A limit of the end user's, for a day or month, is reached, which no top-up cures."""

    status = 429
    type = "rate_limit_error"
    code = "spend_limit_reached"

    def __init__(self, snapshot: PaywallSnapshot, model: ModelSnapshot, refusal: SpendLimitReached) -> None:
        # Until midnight or the month's end: nothing that a client's own retries should wait for.
        seconds = max(1, math.ceil((refusal.resets_at - datetime.now(UTC)).total_seconds()))
        whose = "This playground's" if isinstance(refusal, LinkSpent) else "Your"
        what = model.model_id if isinstance(refusal, ModelLimitReached) else snapshot.name
        super().__init__(
            f"{whose} spending limit for {what} is reached: {refusal}.",
            headers={"Retry-After": str(seconds), "x-should-retry": "false"},
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """A hold stands: the model as it is sold now, and the snapshot that says so."""

    model: ModelSnapshot
    snapshot: PaywallSnapshot


class _Anew(Exception):
    """What was decided on is not so any more: decide again."""


class Admission:
    """One identified request on its way to its hold, decided on `snapshot`, which moves on with the database."""

    def __init__(
        self,
        gateway: Gateway,
        key: Key,
        snapshot: PaywallSnapshot,
        asked: ModelRequest,
        user: UserRef,
        hold: Reservation,
        allowance: Allowance,
    ) -> None:
        self.snapshot = snapshot
        self._gateway = gateway
        self._key = key
        self._asked = asked
        self._user = user
        self._hold = hold
        self._allowance = allowance
        # The prompt's tokens, once they had to be counted.
        self._counted: int | None = None

    async def run(self) -> Admitted | Decision:
        """Hold the worst that the request can cost, or decide why not: the model, then the limits, then the hold.

        The model is answered as it is sold now: its price counts for this request, whatever changes from here on.
        Raises ModelNotFound, SurfaceNotSpoken, OverLimit, UserBlocked, SpendLimited, KeyTaken or Unavailable;
        UnknownKey or PaywallArchived where that happened meanwhile, CallerRulesChanged where the user may be another.
        """
        for _ in range(MAX_RELOADS):
            try:
                model, routes = await self._model()
                prompt = self._prompt()
                await self._take_limits(model, prompt)
                return await self._place_hold(model, routes, prompt)
            except _Anew:
                continue
        raise Unavailable("The paywall's configuration is changing. Try again shortly.")

    # --- The steps -------------------------------------------------------------------------------------------

    async def _model(self) -> tuple[ModelSnapshot, list[ModelSnapshot]]:
        """What is asked for, as this user may have it, and its routes that speak the request's API."""
        model = self.snapshot.models.get(self._asked.model)
        if model is None:
            await self._check_current()
            await events.route_blocked(self.snapshot, self._user, self._hold.request_id, ModelNotFound.code)
            raise ModelNotFound(self._asked.model)
        model = model.limited(self._limits.max_output_tokens)
        routes = model.routes_for(self._asked.surface.name)
        if not routes:
            await self._check_current()
            raise SurfaceNotSpoken(model, self._asked.surface.name)
        return model, routes

    async def _take_limits(self, model: ModelSnapshot, prompt: int) -> None:
        """The request's part of its user's limits. Raises OverLimit."""
        over: OverLimit | None
        if self._limits.allows(model.model_id):
            output = self._asked.output_bound(model) * self._asked.choices
            over = await self._allowance.take(
                self._limits.rates, model.model_id, model.rates, prompt=prompt, output=output
            )
        else:
            over = ModelNotAllowed(model.model_id)
        if over is None:
            return
        if over.room >= 0:
            await self._count_prompt()
        await self._check_current()
        await self._tell_over_limit(over)
        raise over

    async def _place_hold(
        self, model: ModelSnapshot, routes: Sequence[ModelSnapshot], prompt: int
    ) -> Admitted | Decision:
        """Hold what the dearest route may cost. Raises UserBlocked, SpendLimited, KeyTaken or Unavailable."""
        refusal = await self._hold.place(_worst_case(self._asked, routes, prompt), self.snapshot, model)
        match refusal:
            case None:
                return Admitted(model, self.snapshot)
            case ConfigChanged():
                self._move_to(await self._gateway.snapshots.reload(self._key))
                raise _Anew
            case InsufficientFunds() | SpendLimitReached() if refusal.room >= _worst_case(
                self._asked, routes, 0
            ):
                await self._count_prompt()
        if isinstance(refusal, LinkSpent):
            # No hold has compared the versions.
            await self._check_current()
        return await self._refused(refusal, model)

    # --- What they share -------------------------------------------------------------------------------------

    @property
    def _limits(self) -> UserLimits:
        return self.snapshot.limits_of(self._user.external_id)

    def _prompt(self) -> int:
        """The prompt's tokens: a cheap upper bound, until that was too much."""
        return self._asked.surface.upper_bound(self._asked.body) if self._counted is None else self._counted

    async def _count_prompt(self) -> None:
        """Decide again with the prompt's tokens counted, unless they were."""
        if self._counted is None:
            self._counted = await asyncio.to_thread(self._asked.surface.count_prompt, self._asked.body)
            raise _Anew

    async def _check_current(self) -> None:
        """Before a refusal without a hold: where the configuration has moved on, decide again."""
        fresh = await self._gateway.snapshots.refreshed(self._key, self.snapshot)
        if fresh is not self.snapshot:
            self._move_to(fresh)
            raise _Anew

    def _move_to(self, fresh: PaywallSnapshot) -> None:
        """Go on with a new snapshot, where it still says the same of who the request is from."""
        if fresh.callers != self.snapshot.callers:
            raise CallerRulesChanged
        self.snapshot = fresh

    # --- Refusals --------------------------------------------------------------------------------------------

    async def _refused(self, refusal: Refusal, model: ModelSnapshot) -> Decision:
        """What to tell the user of a hold that was refused, and the paywall's owner. Raises what is an error."""
        snapshot, user, request_id = self.snapshot, self._user, self._hold.request_id
        match refusal:
            case Blocked():
                await events.blocked(snapshot, user, request_id, UserBlocked.code)
                raise UserBlocked(snapshot.name)
            case NotConnected():
                url = await in_thread(connections.link_for, user)
                await events.blocked(snapshot, user, request_id, Case.AUTHORIZATION_REQUIRED)
                return decisions.authorization_required(snapshot.voice, url)
            case SpendLimitReached():
                if await self._gateway.counters.is_news(self._spend_key(refusal, model)):
                    await events.rate_limited(snapshot, user, request_id, refusal.limit, model.model_id)
                raise SpendLimited(snapshot, model, refusal)
            case InsufficientFunds(required=required, available=available):
                url = await in_thread(_topup_url, user)
                await events.blocked(
                    snapshot,
                    user,
                    request_id,
                    Case.INSUFFICIENT_FUNDS,
                    required=required,
                    available=available,
                )
                return decisions.insufficient_funds(snapshot.voice, url, required, available)
        raise refusal

    def _spend_key(self, refusal: SpendLimitReached, model: ModelSnapshot) -> str:
        """What names the limit and its user."""
        whose = model.model_id if isinstance(refusal, ModelLimitReached) else type(refusal).__name__
        user = self._user
        limit = f"{refusal.period}\t{refusal.limit}"
        return "\t".join((user.paywall_id.hex, user.external_id, "spend", whose, limit))

    async def _tell_over_limit(self, over: OverLimit) -> None:
        snapshot, request_id = self.snapshot, self._hold.request_id
        if isinstance(over, ModelNotAllowed):
            await events.blocked(snapshot, self._user, request_id, over.code)
        elif await self._gateway.counters.is_news(over.key):
            await events.rate_limited(snapshot, self._user, request_id, over.limit, self._asked.model)


def _worst_case(asked: ModelRequest, routes: Sequence[ModelSnapshot], prompt_tokens: int) -> int:
    """Nano-dollars: the prompt once, and every choice at its limit, by the dearest route that may serve."""
    return max(
        pricing.worst_case(
            route.price,
            prompt_tokens=prompt_tokens,
            output_tokens=asked.output_bound(route) * asked.choices,
            images=asked.images(route),
        )
        for route in routes
    )


def _topup_url(user: UserRef) -> str:
    return topups.link_of(user)
