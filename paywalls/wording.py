"""What the paywall says to an end user in the model's place: a text for each case, with `{{ url }}` and `{{ name }}`.

Plain substitution, in one pass: what stands in a name or an address is never read as a template, and an operator's text
runs no code.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from paywalls.errors import InvalidSetting
from paywalls.models import Paywall

MAX_TEMPLATE = 2_000


class Case(StrEnum):
    """Why the paywall speaks. The values are the decision that programs read."""

    AUTHORIZATION_REQUIRED = "authorization_required"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    PROVIDER_ERROR = "provider_error"


DEFAULTS: Mapping[Case, str] = {
    Case.AUTHORIZATION_REQUIRED: (
        "Before you go on, allow {{ name }} to use your balance. Open this link, then ask again: {{ url }}"
    ),
    Case.INSUFFICIENT_FUNDS: (
        "Your balance for {{ name }} does not cover this request. Top up here, then go on: {{ url }}"
    ),
    Case.PROVIDER_ERROR: "The model can't answer right now. You were not charged; please try again in a moment.",
}

# The cases that can't do without their link.
LINKED = {Case.AUTHORIZATION_REQUIRED, Case.INSUFFICIENT_FUNDS}

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_VARIABLES = ("url", "name")


def render(template: str, case: Case, *, name: str, url: str = "") -> str:
    """The text of a case for one end user; an empty template is the default's."""
    values = {"url": url, "name": name}
    return _PLACE.sub(lambda place: values.get(place[1].strip(), place[0]), template or DEFAULTS[case])


def check(template: str, case: Case) -> None:
    """Raise InvalidSetting unless the template can be rendered, with its link where the case has one."""
    used = [place[1].strip() for place in _PLACE.finditer(template)]
    known = _VARIABLES if case in LINKED else ("name",)
    for variable in used:
        if variable not in known:
            named = " and ".join(f"{{{{ {name} }}}}" for name in known)
            raise InvalidSetting(f"must use {named} only; {{{{ {variable[:40]} }}}} is none of them here")
    rest = _PLACE.sub("", template)
    if "{{" in rest or "}}" in rest or "{%" in rest:
        raise InvalidSetting("must hold {{ or }} only around a variable, as in {{ name }}, and no {% tags %}")
    if template and case in LINKED and "url" not in used:
        raise InvalidSetting("must hold {{ url }}, or the end user has no link to follow")


@dataclass(frozen=True, slots=True)
class Wording:
    """A paywall's own words: its name, and its templates where it has any."""

    name: str
    templates: Mapping[Case, str]

    @classmethod
    def of(cls, paywall: Paywall) -> "Wording":
        """The words of a paywall as it is now."""
        templates = {
            Case.AUTHORIZATION_REQUIRED: paywall.authorization_template,
            Case.INSUFFICIENT_FUNDS: paywall.funds_template,
            Case.PROVIDER_ERROR: paywall.provider_error_template,
        }
        return cls(paywall.name, {case: template for case, template in templates.items() if template})

    def text(self, case: Case, url: str = "") -> str:
        """What an end user is told; `url` is their link, where the case has one."""
        return render(self.templates.get(case, ""), case, name=self.name, url=url)
