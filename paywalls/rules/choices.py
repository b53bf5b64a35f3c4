"""What is one, or some, of what there is: words, APIs, models."""

from typing import Any

from paywalls.errors import InvalidSetting
from paywalls.models import Paywall
from paywalls.models.catalogue import SANDBOX_MODELS, SANDBOX_URL
from paywalls.rules.rule import Rule
from paywalls.rules.text import line
from paywalls.surfaces import SURFACES

MAX_ALLOWED_MODELS = 100


def yes(value: bool) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidSetting("must be true or false")
    return value


def one_of(*names: str) -> Rule:
    """One of these words."""

    def rule(text: str) -> str:
        if text not in names:
            raise InvalidSetting(f"must be one of {', '.join(names)}")
        return str(text)

    return rule


def mode(text: str) -> str:
    """A paywall mode."""
    if text not in Paywall.Mode.values:
        raise InvalidSetting('must be "default" or "shared"')
    return text


def surfaces(names: list[Any]) -> list[str]:
    """The APIs that a provider speaks, each once; none leaves it to the provider's address."""
    unknown = [name for name in names if name not in SURFACES]
    if unknown:
        raise InvalidSetting(
            f"must list some of {', '.join(SURFACES)}; {str(unknown[0])[:32]!r} is none of them"
        )
    return sorted(set(names))


def allowed_models(ids: list[Any] | None) -> list[str] | None:
    """The models that an end user may ask: ids, or beginnings that end in `*`. None, or an empty list, is all."""
    if not ids:
        return None
    if len(ids) > MAX_ALLOWED_MODELS:
        raise InvalidSetting(f"must list at most {MAX_ALLOWED_MODELS} models")
    if not all(isinstance(model, str) for model in ids):
        raise InvalidSetting("must list the ids of models, each in quotes")
    stored = [line(128)(model) for model in ids]
    if any("*" in model[:-1] for model in stored):
        raise InvalidSetting('may hold "*" only at the end of an id, as in "openai/*"')
    return list(dict.fromkeys(stored))


def upstream_of(provider_url: str, upstream_model: str) -> None:
    """The sandbox knows its own models only; any other provider says itself what it knows."""
    if provider_url == SANDBOX_URL and upstream_model not in SANDBOX_MODELS:
        raise InvalidSetting(
            f"must be a model of the sandbox: {', '.join(SANDBOX_MODELS)}", param="upstream_model"
        )
