"""What a rule is, and settings that obey a table of them."""

from collections.abc import Callable, Mapping
from typing import Any

from paywalls.errors import InvalidSetting

Rule = Callable[[Any], Any]


def optional(rule: Rule) -> Rule:
    """The rule, or None."""
    return lambda value: None if value is None else rule(value)


def obeyed(rules: Mapping[str, Rule], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are stored; one without a rule passes. Raises InvalidSetting for the first."""
    stored = {}
    for name, value in settings.items():
        try:
            stored[name] = rules[name](value) if name in rules else value
        except InvalidSetting as fault:
            raise InvalidSetting(fault.message, param=name) from None
    return stored
