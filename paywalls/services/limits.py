"""What may be limited of an end user or a model."""

from typing import TypedDict


class RateSettings(TypedDict, total=False):
    """Of one end user; None is no limit."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None


class SpendSettings(TypedDict, total=False):
    """Of one end user, in nano-dollars; None is no limit."""

    spend_per_day: int | None
    spend_per_month: int | None
