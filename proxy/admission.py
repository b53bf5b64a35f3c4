"""Whether a request may go: who asks, for what, and the hold that covers the worst it can cost."""

import asyncio
import math
from datetime import UTC, datetime

from config.db import in_thread
from config.errors import ApiError, Unavailable
from ledger import services, topups
from ledger.errors import ConfigChanged, InsufficientFunds, SpendLimitReached
from paywalls import pricing
from paywalls.users import UserRef
from proxy import decisions, events
from proxy.decisions import Decision
from proxy.gateway import Gateway
from proxy.reservation import Reservation
from proxy.snapshot import ModelSnapshot, PaywallSnapshot
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
    """The model's provider does not answer this API."""

    code = "surface_not_supported"
    param = "model"

    def __init__(self, model: ModelSnapshot, surface: str) -> None:
        super().__init__(
            f"model: {model.model_id} can't be asked at this endpoint; its provider speaks "
            f"{', '.join(model.provider.speaks)}, not {surface}."
        )


class SpendLimited(ApiError):
    """The end user's own limit for a day or month is reached, which no top-up cures."""

    status = 429
    type = "rate_limit_error"
    code = "spend_limit_reached"

    def __init__(self, snapshot: PaywallSnapshot, refusal: SpendLimitReached) -> None:
        # Until midnight or the month's end: nothing that a client's own retries should wait for.
        seconds = max(1, math.ceil((refusal.resets_at - datetime.now(UTC)).total_seconds()))
        super().__init__(
            f"Your spending limit for {snapshot.name} is reached: {refusal}.",
            headers={"Retry-After": str(seconds), "x-should-retry": "false"},
        )


async def admit(
    gateway: Gateway,
    key: str,
    snapshot: PaywallSnapshot,
    asked: ModelRequest,
    user: UserRef,
    hold: Reservation,
) -> ModelSnapshot | Decision:
    """Hold the worst that the request can cost, or decide why not.

    The model is answered as it is sold now: its price counts for this request, whatever changes from here on. A cheap
    upper bound of the prompt's tokens is tried first; they are counted only where it does not fit the balance.
    Raises ModelNotFound, SurfaceNotSpoken, SpendLimited, UnknownKey (revoked meanwhile) or Unavailable.
    """
    surface = asked.surface
    counted: int | None = None
    for _ in range(MAX_RELOADS):
        model = snapshot.models.get(asked.model)
        if model is None:
            fresh = await gateway.snapshots.refreshed(key, snapshot)
            if fresh is snapshot:
                await events.route_blocked(snapshot, user, hold.request_id, ModelNotFound.code)
                raise ModelNotFound(asked.model)
            snapshot = fresh
            continue
        if surface.name not in model.provider.speaks:
            raise SurfaceNotSpoken(model, surface.name)
        prompt = surface.upper_bound(asked.body) if counted is None else counted
        refusal = await hold.place(_worst_case(asked, model, prompt), snapshot, model)
        if refusal is None:
            return model
        if isinstance(refusal, ConfigChanged):
            snapshot = await gateway.snapshots.reload(key)
            continue
        if not isinstance(refusal, InsufficientFunds | SpendLimitReached):
            raise refusal
        if counted is None and refusal.room >= _worst_case(asked, model, 0):
            counted = await asyncio.to_thread(surface.count_prompt, asked.body)
            continue
        if isinstance(refusal, SpendLimitReached):
            await events.rate_limited(snapshot, user, hold.request_id, refusal.limit, model.model_id)
            raise SpendLimited(snapshot, refusal)
        url = await in_thread(_topup_url, user)
        await events.blocked(
            snapshot,
            user,
            hold.request_id,
            decisions.INSUFFICIENT_FUNDS,
            required=refusal.required,
            available=refusal.available,
        )
        return decisions.insufficient_funds(snapshot.name, url, refusal.required, refusal.available)
    raise Unavailable("The paywall's configuration is changing. Try again shortly.")


def _worst_case(asked: ModelRequest, model: ModelSnapshot, prompt_tokens: int) -> int:
    """Nano-dollars: the prompt once, and every choice at its limit."""
    output_tokens = asked.output_bound(model) * asked.choices
    return pricing.worst_case(
        model.price, prompt_tokens=prompt_tokens, output_tokens=output_tokens, images=asked.images(model)
    )


def _topup_url(user: UserRef) -> str:
    return topups.link_for(services.ensure_user(user))
