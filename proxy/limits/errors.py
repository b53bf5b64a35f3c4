"""What an end user is told who is over a limit."""

import math

from config.errors import ApiError
from proxy.limits.counting import Rate, Slot


class OverLimit(ApiError):
    """A limit of the end user forbids the request. `limit` is its number, `key` names it and its user.

    `room` is the longest prompt (tokens) that would fit now, below zero where its length is not the reason.
    """

    limit = 0
    key = ""
    room = -1


class RateLimited(OverLimit):
    """More requests or tokens than the minute has left; `wait` seconds until they fit."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, rate: Rate, used: int, wait: float, room: int) -> None:
        seconds = max(1, math.ceil(wait))
        super().__init__(
            f"You are at your limit of {rate.limit:,} {rate.unit} a minute: {used:,} used, {rate.amount:,} "
            f"requested. Try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )
        self.limit, self.key, self.room = rate.limit, rate.key, room


class TooManyAtOnce(OverLimit):
    """More requests under way than the user may have."""

    status = 429
    type = "rate_limit_error"
    code = "concurrency_limit_exceeded"

    def __init__(self, slot: Slot) -> None:
        super().__init__(
            f"You have as many requests under way as you may have at a time ({slot.limit:,}). Wait until one ends.",
            headers={"Retry-After": "1"},
        )
        self.limit, self.key = slot.limit, slot.key


class PromptTooLong(OverLimit):
    """A prompt that no minute has room for."""

    code = "prompt_too_long"

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(
            f"The prompt has {tokens:,} tokens, more than your limit of {limit:,} tokens a minute. Send a shorter one."
        )
        self.limit, self.room = limit, limit


class ModelNotAllowed(OverLimit):
    """The paywall sells the model, but not to this end user."""

    status = 403
    type = "permission_error"
    code: str = "model_not_allowed"
    param = "model"

    def __init__(self, model: str) -> None:
        super().__init__(f"model: your plan does not include {model[:128]!r}. Ask for another model.")
