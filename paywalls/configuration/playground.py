"""A paywall's section `playground` in a document."""

from typing import Any

from paywalls import playgrounds
from paywalls.configuration.sections import MISSING, Section
from paywalls.models import Playground
from paywalls.playgrounds import PlaygroundSettings

_LIMITS = {"visitor", "link"}
KEYS = {"on", *_LIMITS}
EACH = {"requests_per_minute", "spend_per_day"}


def read(at: Section) -> PlaygroundSettings | None:
    """The settings; None where the document leaves the playground as it is, or where they are faulty (noted)."""
    if not at.has("playground"):
        return None
    section = at.child("playground", keys=KEYS)
    settings: dict[str, Any] = {"is_on": section.yes("on") if section.has("on") else True}
    for whose in sorted(_LIMITS):
        settings |= _limits(section.optional_child(whose, keys=EACH), whose)
    return None if MISSING in settings.values() else settings  # type: ignore[return-value]


def _limits(at: Section, whose: str) -> dict[str, Any]:
    requests, spend = f"{whose}_requests_per_minute", f"{whose}_spend_per_day"
    nano: Any = at.dollars("spend_per_day") if at.has("spend_per_day") else _default(spend)
    return {
        requests: at.whole("requests_per_minute", playgrounds.per_minute, default=_default(requests)),
        spend: nano if nano is MISSING else at.checked("spend_per_day", playgrounds.per_day, nano),
    }


def _default(name: str) -> Any:
    return getattr(Playground(), name)
