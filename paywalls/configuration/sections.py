"""Picking values out of a mapping of the document: each getter answers a checked value, or notes a fault."""

import difflib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from config import money
from paywalls import rules
from paywalls.configuration.faults import Faults, join
from paywalls.errors import InvalidSetting

# `$${` stands for a literal `${`.
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


class Missing:
    """Stands for a value that is not there or is faulty (the fault is noted)."""

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


class Section:
    """A mapping at a path of the document. What is wrong with it goes to `faults`, unknown keys too."""

    def __init__(
        self, value: object, path: str, *, keys: set[str], faults: Faults, environ: Mapping[str, str]
    ) -> None:
        self.path = path
        self.sound = isinstance(value, dict)
        self._values: dict[Any, Any] = value if isinstance(value, dict) else {}
        self._faults = faults
        self._environ = environ
        if not self.sound:
            self.fault("", f"must be a mapping with the keys {', '.join(sorted(keys))}")
        for key in self._values:
            if key not in keys:
                self.fault("", _unknown_key(key, keys))

    def fault(self, key: str, message: str) -> None:
        """Note a fault of a key, or of the section itself where the key is ''."""
        self._faults.add(join(self.path, key) if key else self.path, message)

    def has(self, key: str) -> bool:
        """Whether the document gives the key."""
        return key in self._values

    def child(self, key: str, *, keys: set[str]) -> "Section":
        """The mapping under a key, which must be there."""
        if key not in self._values:
            if self.sound:
                self.fault(key, "is required")
            # Its absence is noted: what it lacks in turn is nobody's news.
            return Section(None, "", keys=keys, faults=Faults(), environ={})
        return self._section(self._values[key], join(self.path, key), keys)

    def optional_child(self, key: str, *, keys: set[str]) -> "Section":
        """The mapping under a key; where it is absent, one without values."""
        return self._section(self._values.get(key, {}), join(self.path, key), keys)

    def children(self, key: str, *, keys: set[str]) -> Iterator["Section"]:
        """The mappings in the list under a key; none where the key is absent."""
        values = self._values.get(key, [])
        if not isinstance(values, list):
            self.fault(key, "must be a list (write [] for none)")
            return
        for index, value in enumerate(values):
            yield self._section(value, f"{join(self.path, key)}[{index}]", keys)

    def text(self, key: str, rule: rules.Rule, *, default: str | Missing = MISSING) -> str | Missing:
        """The string under a key, `${VARIABLE}` filled in, as the rule stores it. No default: required."""
        value = self._given(key, default)
        if isinstance(value, Missing):
            return value
        if not isinstance(value, str):
            self.fault(key, f"must be a string{_hint(value)}")
            return MISSING
        filled = self._filled(key, value)
        return filled if isinstance(filled, Missing) else self.checked(key, rule, filled)

    def listed(self, key: str, rule: rules.Rule) -> list[Any] | Missing:
        """The list under a key, [] where it is absent, as the rule stores it."""
        value = self._values.get(key, [])
        if not isinstance(value, list):
            self.fault(key, "must be a list")
            return MISSING
        return self.checked(key, rule, value)

    def dollars(self, key: str, *, default: str | Missing = MISSING) -> int | Missing:
        """The nano-dollars of the decimal string under a key."""
        return self._decimal(key, default, _parse_price, 'of US dollars such as "0.25"')

    def dollars_or_none(self, key: str) -> int | Missing | None:
        """The nano-dollars of the decimal string under a key, None where the key is absent."""
        return self.dollars(key) if self.has(key) else None

    def percent(self, key: str, *, default: str) -> Decimal | Missing:
        """The percentage in the decimal string under a key."""
        return self._decimal(key, default, rules.parse_percent, 'such as "20"')

    def whole(
        self, key: str, rule: rules.Rule, *, default: int | Missing | None = MISSING
    ) -> int | Missing | None:
        """The whole number under a key. No default: required."""
        value = self._given(key, default)
        return value if isinstance(value, Missing) else self.checked(key, rule, value)

    def yes(self, key: str) -> bool | Missing:
        """Whether the key says true; false where it is absent."""
        value = self._given(key, False)
        if not isinstance(value, bool):
            self.fault(key, "must be true or false, without quotes")
            return MISSING
        return value

    def checked(self, key: str, rule: rules.Rule, value: Any) -> Any:
        """The value as the rule stores it; MISSING where it refuses, which is noted at the key."""
        try:
            return rule(value)
        except InvalidSetting as fault:
            self.fault(key, fault.message)
            return MISSING

    def _section(self, value: object, path: str, keys: set[str]) -> "Section":
        return Section(value, path, keys=keys, faults=self._faults, environ=self._environ)

    def _given(self, key: str, default: Any) -> Any:
        if key in self._values:
            return self._values[key]
        if isinstance(default, Missing) and self.sound:
            self.fault(key, "is required")
        return default

    def _decimal(self, key: str, default: str | Missing, parse: rules.Rule, example: str) -> Any:
        value = self._given(key, default)
        if isinstance(value, Missing):
            return value
        if not isinstance(value, str):
            self.fault(key, f"must be a decimal string {example}{_hint(value)}")
            return MISSING
        filled = self._filled(key, value)
        return filled if isinstance(filled, Missing) else self.checked(key, parse, filled)

    def _filled(self, key: str, text: str) -> str | Missing:
        problems = []

        def replacement(match: re.Match[str]) -> str:
            name = match["name"]
            if match[0] == "$${":
                return "${"
            if name is None:
                problems.append('"${" must go on as in "${OPENAI_API_KEY}"; write "$${" for a plain "${"')
            elif name not in self._environ:
                problems.append(f"the environment variable {name} is not set")
            elif not self._environ[name]:
                # An empty secret is a slip of whoever runs this, never a wish to remove the stored one.
                problems.append(f"the environment variable {name} is empty")
            return self._environ.get(name or "", "")

        filled = _REFERENCE.sub(replacement, text)
        for problem in problems:
            self.fault(key, problem)
        return MISSING if problems else filled


def _parse_price(text: str) -> int:
    try:
        return money.parse(text, zero=True)
    except money.InvalidAmount as error:
        raise InvalidSetting(str(error)) from None


def _hint(value: object) -> str:
    """YAML makes numbers, booleans and dates of unquoted words, and nothing at all of an empty place."""
    if value is None:
        return " (there is nothing after the key)"
    if isinstance(value, (dict, list)):
        return ""
    return f" (put it in quotes: unquoted, YAML reads it as {type(value).__name__})"


def _unknown_key(key: object, keys: set[str]) -> str:
    close = difflib.get_close_matches(str(key), keys, n=1, cutoff=0.5)
    hint = f'did you mean "{close[0]}"?' if close else f"the keys here are {', '.join(sorted(keys))}"
    return f'unknown key "{key}": {hint}'
