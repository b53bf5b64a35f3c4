"""Numbers that are no money: tokens, limits, the order of routes, seconds."""

from paywalls.errors import InvalidSetting
from paywalls.models.catalogue import MAX_SECONDS

# With the highest price and markup, a request of this many tokens still costs less than a BIGINT holds.
MAX_OUTPUT_TOKENS = 10_000_000
# What a column of whole numbers holds.
MAX_LIMIT = 2_147_483_647
# Priorities and weights of routes.
MAX_ORDER = 1_000


def output_tokens(count: int) -> int:
    """The most tokens that one answer may have."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_OUTPUT_TOKENS:
        raise InvalidSetting(f"must be a whole number from 1 to {MAX_OUTPUT_TOKENS}")
    return count


def limit(count: int) -> int:
    """A limit of requests or tokens; none is None, not zero."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_LIMIT:
        raise InvalidSetting(f"must be a whole number from 1 to {MAX_LIMIT}; leave it out for no limit")
    return count


def priority(count: int) -> int:
    """The place of a route: lower ones are tried first."""
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_ORDER:
        raise InvalidSetting(f"must be a whole number from 0 to {MAX_ORDER}")
    return count


def weight(count: int) -> int:
    """The share of a route among those of its priority."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_ORDER:
        raise InvalidSetting(f"must be a whole number from 1 to {MAX_ORDER}")
    return count


def seconds(count: float) -> float:
    """A time-out; more than zero, and at most a day."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 < count <= MAX_SECONDS:
        raise InvalidSetting(f"must be a number of seconds above 0 and at most {MAX_SECONDS}")
    return float(count)
