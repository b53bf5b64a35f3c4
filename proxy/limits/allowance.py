"""One request's part of its end user's limits: taken before the hold, given back when the request ends.

A request that was let in counts for its minute, whatever becomes of it. Its tokens are reserved as the hold's money is,
the prompt and every choice at its limit (at most all that a minute allows), and corrected by what was used. Its slot
among the requests at a time is free when it ends.
"""

import asyncio
import uuid
from collections.abc import Iterator, Mapping

from paywalls.limits import NO_RATES, Rates
from paywalls.users import UserRef
from proxy.limits.counters import Counters
from proxy.limits.counting import Rate, Return, Slot, Take, Taken
from proxy.limits.errors import OverLimit, PromptTooLong, RateLimited, TooManyAtOnce
from proxy.limits.memory_counters import MemoryCounters
from proxy.limits.redis_counters import CountersAway, RedisCounters
from proxy.limits.windows import shown

REQUESTS, TOKENS = "requests", "tokens"


class Allowance:
    """What one request has taken. Where no limit is set that is nothing, and no counter is asked."""

    __slots__ = ("_asked", "_by", "_counters", "_headers", "_lease", "_take", "_taken_at", "_taking", "_user")

    def __init__(
        self, counters: Counters, user: UserRef, request_id: uuid.UUID, headers: dict[str, str]
    ) -> None:
        """`headers` are those of the request's answer; what is left of the user's limits is told there."""
        self._counters = counters
        self._user = user
        self._lease = request_id.hex
        self._headers = headers
        # What was granted, when, and by whom it is counted.
        self._take: Take | None = None
        self._taken_at = 0.0
        self._by: RedisCounters | MemoryCounters = counters.own
        # What Redis was asked for and we haven't seen the answer of.
        self._asked: Take | None = None
        self._taking: asyncio.Future[Taken] | None = None

    async def take(
        self, user_rates: Rates, model_id: str, model_rates: Rates, *, prompt: int, output: int
    ) -> OverLimit | None:
        """Take a part of every limit that is set, or nothing and say why. `prompt` and `output` are tokens.

        Again for the same request it takes nothing more, unless the limits are others by now.
        """
        if user_rates == NO_RATES and model_rates == NO_RATES:
            self.undo()
            return None
        scopes = ((self._key(), user_rates), (self._key(model_id), model_rates))
        token_limits = [of.tokens for _, of in scopes if of.tokens]
        if token_limits and prompt > min(token_limits):
            return PromptTooLong(prompt, min(token_limits))
        asked = Take(
            self._lease,
            tuple(rate for key, of in scopes for rate in _rates(key, of, prompt + output)),
            tuple(Slot(f"{key}\tconcurrent", of.concurrent) for key, of in scopes if of.concurrent),
        )
        if self._take and _limits(self._take) == _limits(asked):
            return None
        self.undo()
        taken = await self._ask(asked)
        self._headers.update(_shown(asked, taken))
        if taken.granted:
            self._take, self._taken_at = asked, taken.at
            return None
        return _refusal(asked, taken, output)

    def end(self, tokens: int | None) -> None:
        """The request has ended, having used so many tokens; None leaves what it reserved. Waits for nothing."""
        if self._taking:
            # Its client left before the answer came, or before we looked at it.
            self._taking.add_done_callback(self._granted_in_vain)
        elif take := self._granted():
            used = () if tokens is None else ((rate, tokens) for rate in take.rates if rate.unit == TOKENS)
            self._give_back(take, {rate.key: left for rate, of in used if (left := of - rate.amount)})

    async def _ask(self, take: Take) -> Taken:
        if (shared := self._counters.shared) and not shared.away:
            self._asked, self._by, self._taking = take, shared, shared.submit(take)
            try:
                taken = await asyncio.shield(self._taking)
            except CountersAway:
                self._taking = None
            else:
                self._taking = None
                return taken
        self._by = self._counters.own
        return self._counters.own.take(take)

    def undo(self) -> None:
        """Give back all that was taken, as if nothing had been asked for: the request is looked at anew."""
        for name in [name for name in self._headers if name.startswith("x-ratelimit-")]:
            del self._headers[name]
        if take := self._granted():
            self._give_back(take, {rate.key: -rate.amount for rate in take.rates})

    def _granted_in_vain(self, taking: "asyncio.Future[Taken]") -> None:
        if not taking.cancelled() and not taking.exception() and taking.result().granted:
            self._take, self._taking, self._taken_at = self._asked, None, taking.result().at
            self.end(0)

    def _granted(self) -> Take | None:
        """What was taken and not given back."""
        take, self._take = self._take, None
        return take

    def _give_back(self, take: Take, differences: Mapping[str, int]) -> None:
        if differences or take.slots:
            slots = tuple(slot.key for slot in take.slots)
            self._by.give_back(Return(take.lease, tuple(differences.items()), slots, self._taken_at))

    def _key(self, *model_id: str) -> str:
        # No id holds a control character, so that no two keys are alike.
        return "\t".join((self._user.paywall_id.hex, self._user.external_id, *model_id))


def _rates(key: str, of: Rates, tokens: int) -> Iterator[Rate]:
    if of.requests:
        yield Rate(f"{key}\t{REQUESTS}", REQUESTS, of.requests, 1)
    if of.tokens:
        yield Rate(f"{key}\t{TOKENS}", TOKENS, of.tokens, min(tokens, of.tokens))


def _limits(take: Take) -> set[tuple[str, int]]:
    rates = {(rate.key, rate.limit) for rate in take.rates}
    return rates | {(slot.key, slot.limit) for slot in take.slots}


def _refusal(take: Take, taken: Taken, output: int) -> OverLimit:
    """Why it was not granted: the slot that is missing, or the rate that takes longest to have room."""
    for slot, in_use in zip(take.slots, taken.in_use, strict=True):
        if in_use >= slot.limit:
            return TooManyAtOnce(slot)
    waits = [
        (window.wait(rate.amount, rate.limit), rate, window.used)
        for rate, window in zip(take.rates, taken.windows, strict=True)
        if window.used + rate.amount > rate.limit
    ]
    wait, rate, used = max(waits, key=lambda found: found[0])
    room = min(-1 if of.unit == REQUESTS else of.limit - used - output for _, of, used in waits)
    return RateLimited(rate, used, wait, room)


def _shown(take: Take, taken: Taken) -> dict[str, str]:
    """The headers of the rates, as OpenAI names them; of two limits on one thing the tighter is shown."""
    tightest: dict[str, tuple[int, int, str]] = {}
    for rate, window in zip(take.rates, taken.windows, strict=True):
        state = (max(0, rate.limit - window.used), rate.limit, shown(window.reset(rate.limit)))
        tightest[rate.unit] = min(state, tightest.get(rate.unit, state))
    return {
        f"x-ratelimit-{name}-{unit}": str(value)
        for unit, (remaining, limit, reset) in tightest.items()
        for name, value in (("limit", limit), ("remaining", remaining), ("reset", reset))
    }
