"""Whether a request may go: who asks, for what, and the hold that covers the worst it can cost."""

import asyncio
from dataclasses import dataclass

from config.db import in_thread
from config.errors import ApiError, Unavailable
from ledger import services, topups
from ledger.errors import ConfigChanged, InsufficientFunds
from paywalls import pricing
from paywalls.users import UserRef
from proxy import events, replies, tokens
from proxy.chat_request import ChatRequest
from proxy.gateway import Gateway
from proxy.replies import Decision
from proxy.reservation import Reservation
from proxy.snapshot import ModelSnapshot, PaywallSnapshot

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


@dataclass(frozen=True, slots=True)
class Admission:
    """Go: the hold stands, and the price is this snapshot's whatever changes from now on."""

    model: ModelSnapshot


async def admit(
    gateway: Gateway, key: str, snapshot: PaywallSnapshot, chat: ChatRequest, user: UserRef, hold: Reservation
) -> Admission | Decision:
    """Hold the worst that the request can cost, or decide why not.

    A cheap upper bound of the prompt's tokens is tried first; they are counted only where it does not fit the balance.
    Raises ModelNotFound, UnknownKey (revoked meanwhile) or Unavailable.
    """
    counted: int | None = None
    for _ in range(MAX_RELOADS):
        model = snapshot.models.get(chat.model)
        if model is None:
            fresh = await gateway.snapshots.refreshed(key, snapshot)
            if fresh is snapshot:
                await events.route_blocked(snapshot, user, hold.request_id, ModelNotFound.code)
                raise ModelNotFound(chat.model)
            snapshot = fresh
            continue
        prompt = tokens.upper_bound(chat.body) if counted is None else counted
        refusal = await hold.place(_worst_case(chat, model, prompt), snapshot, model)
        if refusal is None:
            return Admission(model)
        if isinstance(refusal, ConfigChanged):
            snapshot = await gateway.snapshots.reload(key)
            continue
        if not isinstance(refusal, InsufficientFunds):
            raise refusal
        if counted is None and refusal.available >= _worst_case(chat, model, 0):
            counted = await asyncio.to_thread(tokens.count_prompt, chat.body)
            continue
        url = await in_thread(_topup_url, user)
        await events.blocked(
            snapshot,
            user,
            hold.request_id,
            replies.INSUFFICIENT_FUNDS,
            required=refusal.required,
            available=refusal.available,
        )
        return replies.insufficient_funds(snapshot.name, url, refusal.required, refusal.available)
    raise Unavailable("The paywall's configuration is changing. Try again shortly.")


def _worst_case(chat: ChatRequest, model: ModelSnapshot, prompt_tokens: int) -> int:
    """Nano-dollars: the prompt once, and every choice at its limit."""
    completion_tokens = chat.output_bound(model) * chat.choices
    return pricing.worst_case(model.price, prompt_tokens=prompt_tokens, output_tokens=completion_tokens)


def _topup_url(user: UserRef) -> str:
    return topups.link_for(services.ensure_user(user))
