"""Rules of a burn table: credits for tokens, images, units and events of a model. Pure.

A table is `{"gpt-4o": {"inputTokens": 2.5, "outputTokens": 10, "perUnit": 1000}, "*": {…}}`: credits for each `perUnit`
tokens, `*` for models that have no rule. What a rule may also have: `cacheReadTokens`, `cacheWriteTokens` (as
`inputTokens` where absent), `images` (credits an image), `units` (credits a unit of the event's `unit_type`, such as
`{"second": 0.5}`) and `event` (credits an event). Everything is integers here: a float can't hold credits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from config.money import NANO

ANY_MODEL = "*"
MAX_RULES = 1_000
MAX_NAME = 128
# Credits have as many decimals as dollars: what is typed is exact.
SCALE = 1_000_000_000
MAX_CREDITS = 1_000_000_000

TOKENS = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens")
OTHERS = ("images", "event")
FIELDS = {*TOKENS, *OTHERS, "perUnit", "units"}


class InvalidRule(ValueError):
    """A rule that can't be; `path` leads to it, such as `gpt-4o.inputTokens`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


class Measure(NamedTuple):
    """What an event used: tokens in buckets that don't overlap, images, and `quantity` billionths of `unit_type`."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    images: int = 0
    unit_type: str = ""
    quantity: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, from a cache or not."""
        return self.input + self.cache_read + self.cache_write

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted, as of an event that only says that it happened."""
        return not (
            self.input or self.cache_read or self.cache_write or self.output or self.images or self.quantity
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One model's rule, in billionths of a credit; the first four for each `per` billionths of a token."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    per: int
    images: int
    event: int
    units: Mapping[str, int]

    def burn(self, used: Measure, credits_per_usd: int) -> int:
        """Nano-dollars of the credits that this burns; the one rounding is up, to a whole nano-dollar."""
        tokens = (
            used.input * self.input
            + used.cache_read * self.cache_read
            + used.cache_write * self.cache_write
            + used.output * self.output
        )
        others = (used.images * self.images + self.event) * SCALE
        if used.quantity:
            others += used.quantity * self.units.get(used.unit_type, 0)
        # Tokens: credits x 10^9 for each `per` x 10^-9; the others: credits x 10^18.
        return -(
            -(tokens * SCALE * SCALE + others * self.per)
            * NANO
            // (self.per * SCALE * SCALE * credits_per_usd)
        )


Table = Mapping[str, Rule]


def table(rules: object) -> Table:
    """The rules of a burn table as they are applied. Raises InvalidRule."""
    if not isinstance(rules, dict) or not rules:
        raise InvalidRule("", "must be an object with a rule for at least one model, or for *")
    if len(rules) > MAX_RULES:
        raise InvalidRule("", f"must have at most {MAX_RULES} rules")
    return {name: _rule(_named(name), rule) for name, rule in rules.items()}


def rule_for(rules: Table, model: str) -> Rule | None:
    """The rule of a model, or the one of all others, or none."""
    return rules.get(model) or rules.get(ANY_MODEL)


def _named(name: str) -> str:
    if not name or len(name) > MAX_NAME or any(char < " " for char in name):
        raise InvalidRule(name[:MAX_NAME], f"a model's name has 1 to {MAX_NAME} characters")
    return name


def _rule(name: str, rule: Any) -> Rule:
    if not isinstance(rule, dict):
        raise InvalidRule(name, "must be an object")
    if unknown := rule.keys() - FIELDS:
        raise InvalidRule(f"{name}.{min(unknown)}", f"is no part of a rule ({', '.join(sorted(FIELDS))})")
    for field in ("inputTokens", "outputTokens"):
        if field not in rule:
            raise InvalidRule(f"{name}.{field}", "is required")
    units = rule.get("units", {})
    if not isinstance(units, dict) or any(not unit for unit in units):
        raise InvalidRule(f"{name}.units", 'must be an object such as {"second": 0.5}')
    parts = {field: _credits(f"{name}.{field}", rule.get(field, 0)) for field in (*TOKENS, *OTHERS)}
    return Rule(
        input=parts["inputTokens"],
        output=parts["outputTokens"],
        cache_read=parts["cacheReadTokens"] if "cacheReadTokens" in rule else parts["inputTokens"],
        cache_write=parts["cacheWriteTokens"] if "cacheWriteTokens" in rule else parts["inputTokens"],
        per=_credits(f"{name}.perUnit", rule.get("perUnit", 1_000), zero=False),
        images=parts["images"],
        event=parts["event"],
        units={unit: _credits(f"{name}.units.{unit}", value) for unit, value in units.items()},
    )


def _credits(path: str, value: Any, *, zero: bool = True) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidRule(path, "must be a number")
    # A float prints the shortest decimal that it came from: what was typed.
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite() or number < 0 or number > MAX_CREDITS or (number == 0 and not zero):
        raise InvalidRule(path, f"must be {'from 0' if zero else 'above 0'} and at most {MAX_CREDITS}")
    scaled = number * SCALE
    if scaled != scaled.to_integral_value():
        raise InvalidRule(path, "must have at most 9 decimals")
    return int(scaled)
