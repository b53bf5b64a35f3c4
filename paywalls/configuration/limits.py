"""The limits in a document, of a paywall and of a model."""

from typing import Any

from paywalls import rules
from paywalls.configuration.sections import Section
from paywalls.models.limits import RATES, SPEND

MODEL = {*RATES, *SPEND}
PAYWALL = {*MODEL, "max_output_tokens", "models"}


def of_model(at: Section) -> dict[str, Any]:
    """The settings in a model's section `limits`; what is absent is no limit."""
    return {
        **{name: at.whole(name, rules.RATES[name], default=None) for name in RATES},
        **{name: at.dollars_or_none(name) for name in SPEND},
    }


def of_paywall(at: Section) -> dict[str, Any]:
    """The settings in a paywall's section `limits`; what is absent is no limit."""
    return {
        **of_model(at),
        "max_output_tokens": at.whole("max_output_tokens", rules.USER["max_output_tokens"], default=None),
        "allowed_models": at.listed("models", rules.allowed_models),
    }
