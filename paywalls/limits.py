"""What one end user may do at the most, as paywalls, models and end users say it.

A paywall's limits hold for each of its end users; a user's own replace them, one by one. A model's rates limit each end
user on that model, beside these.
"""

from dataclasses import dataclass

from paywalls.models.limits import RateLimits, RequestLimits


@dataclass(frozen=True, slots=True)
class Rates:
    """The most of each in a minute, or at a time; None is no limit."""

    requests: int | None = None
    tokens: int | None = None
    concurrent: int | None = None


NO_RATES = Rates()


@dataclass(frozen=True, slots=True)
class UserLimits:
    """The limits of one end user. No `models` allow all."""

    rates: Rates = NO_RATES
    max_output_tokens: int | None = None
    models: tuple[str, ...] = ()

    def allows(self, model_id: str) -> bool:
        """Whether the user may ask this model: its id is listed, or begins like a listed one that ends in `*`."""
        return not self.models or any(
            model_id == listed or (listed[-1] == "*" and model_id.startswith(listed[:-1]))
            for listed in self.models
        )


NO_LIMITS = UserLimits()


def rates_of(row: RateLimits) -> Rates:
    """The rates that a row sets."""
    return Rates(row.requests_per_minute, row.tokens_per_minute, row.concurrent_requests)


def limits_of(row: RequestLimits, defaults: UserLimits = NO_LIMITS) -> UserLimits:
    """The limits that a row sets, and the defaults where it sets none."""
    usual = defaults.rates
    return UserLimits(
        Rates(
            row.requests_per_minute or usual.requests,
            row.tokens_per_minute or usual.tokens,
            row.concurrent_requests or usual.concurrent,
        ),
        row.max_output_tokens or defaults.max_output_tokens,
        tuple(row.allowed_models or defaults.models),
    )
