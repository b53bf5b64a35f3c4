"""Prices and costs on the pages of models: their fields, the badge of a loss, the look-up of costs."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.options import ModelAdmin
from django.db import transaction
from django.http import HttpRequest

from config import money
from config.admin.forms import DollarField, LinesField, SettingsForm, SwitchField
from paywalls import costs, margins
from paywalls.configuration import InvalidDocument, load
from paywalls.configuration.faults import Faults
from paywalls.configuration.prices import read_tiers
from paywalls.configuration.sections import Section
from paywalls.models import PaywallModel, Route

_AS_PROMPT = "US dollars per million tokens; empty: as the prompt."


class OptionalDollarField(DollarField):
    """Nano-dollars, or `empty` where nothing is typed."""

    def __init__(self, empty: int | None = None, **options: Any) -> None:
        self.empty = empty
        super().__init__(**{"required": False, **options})

    def to_python(self, value: Any) -> int | None:
        nano = super().to_python(value)
        return self.empty if nano is None else nano


class TiersField(LinesField):
    """Tiers as the configuration file writes them, one a line: `- {above: 200000, prompt: "6", completion: "30"}`."""

    def __init__(self, **options: Any) -> None:
        example = '- {above: 200000, prompt: "6", completion: "22.5", cache_read: "0.6", cache_write: "7.5"}'
        help_text = f"Other prices for prompts of more tokens, one tier a line: {example}"
        super().__init__(**{"required": False, "help_text": help_text, **options})

    def prepare_value(self, value: Any) -> Any:
        """What the input shows: decimals of dollars, or what was typed where that can't be read."""
        return "\n".join(map(_tier_line, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """The tiers as they are stored."""
        if isinstance(value, list) or not str(value or "").strip():
            return value or []
        faults = Faults()
        try:
            at = Section({"tiers": load(str(value))}, "", keys={"tiers"}, faults=faults, environ={})
            tiers = read_tiers(at, "tiers")
            faults.raise_any()
        except InvalidDocument as refused:
            raise forms.ValidationError(refused.faults) from None
        return tiers


def _tier_line(tier: dict[str, int]) -> str:
    # The database keeps the keys in an order of its own.
    names = [name for name in ("prompt", "completion", "cache_read", "cache_write") if name in tier]
    rates = (f'{name}: "{money.plain(tier[name])}"' for name in names)
    return f"- {{above: {tier['above']}, {', '.join(rates)}}}"


class PriceForm(SettingsForm):
    """What end users pay, and what the provider charges."""

    prompt_price = DollarField(label="Prompt", help_text="US dollars per million prompt tokens.")
    completion_price = DollarField(label="Completion", help_text="US dollars per million completion tokens.")
    cache_read_price = OptionalDollarField(label="Cache read", help_text=_AS_PROMPT)
    cache_write_price = OptionalDollarField(label="Cache write", help_text=_AS_PROMPT)
    request_price = DollarField(label="Request", initial=0, help_text="US dollars per request.")
    minimum_price = DollarField(
        label="Minimum", initial=0, help_text="The least that a request costs in US dollars, markup included."
    )
    image_price = OptionalDollarField(
        0, label="Image", initial=0, help_text="US dollars per image that a request sends."
    )
    tiers = TiersField(label="Tiers")
    free = SwitchField(
        label="Free", required=False, help_text="Confirms that it is meant where every price is zero."
    )
    prompt_cost = OptionalDollarField(
        label="Prompt", help_text="US dollars per million prompt tokens; empty: unknown."
    )
    completion_cost = OptionalDollarField(
        label="Completion", help_text="US dollars per million completion tokens; empty: unknown."
    )
    cache_read_cost = OptionalDollarField(label="Cache read", help_text=_AS_PROMPT)
    cache_write_cost = OptionalDollarField(label="Cache write", help_text=_AS_PROMPT)
    request_cost = OptionalDollarField(0, label="Request", initial=0)
    minimum_cost = OptionalDollarField(0, label="Minimum", initial=0)
    image_cost = OptionalDollarField(0, label="Image", initial=0)
    cost_tiers = TiersField(label="Tiers")


FIELDSETS = (
    (
        "Prices",
        {
            "fields": (
                ("prompt_price", "completion_price"),
                ("cache_read_price", "cache_write_price"),
                ("request_price", "minimum_price"),
                "image_price",
                "tiers",
                "free",
            )
        },
    ),
    (
        "Provider's cost",
        {
            "fields": (
                ("prompt_cost", "completion_cost"),
                ("cache_read_cost", "cache_write_cost"),
                ("request_cost", "minimum_cost"),
                "image_cost",
                "cost_tiers",
                ("cost_source", "margin"),
            ),
            "description": "What the provider charges you. Empty until somebody types it, or it is looked up.",
        },
    ),
)


MARGINS = {"below cost": "danger", "above cost": "success", "cost unknown": "info"}


def margin(model: PaywallModel) -> str:
    """Whether anything is sold for less than it costs, by whichever route."""
    if margins.of_model(model, model.paywall):
        return "below cost"
    return "cost unknown" if model.cost() is None else "above cost"


def margin_of_route(route: Route) -> str:
    """The same where a further route serves."""
    if (route.own_cost() or route.model.cost()) is None:
        return "cost unknown"
    return "below cost" if margins.of_route(route, route.model.paywall) else "above cost"


def warn(page: ModelAdmin, request: HttpRequest, model: PaywallModel) -> None:
    """Tell the operator what the model loses by."""
    for loss in margins.of_model(model, model.paywall):
        page.message_user(request, f"{model}: {loss}.", messages.WARNING)


def look_up(page: ModelAdmin, request: HttpRequest, chosen: Iterable[PaywallModel]) -> None:
    """Fill in what the providers charge; a cost that an operator typed stays."""
    findings = [costs.find(model) for model in chosen]
    with transaction.atomic():
        for finding in findings:
            if finding.costs is not None:
                costs.write(finding)
                page.log_change(request, finding.model, f"Cost looked up (genai-prices {costs.version()}).")
    for finding in findings:
        page.message_user(request, f"{finding.model}: {finding.note}.", messages.INFO)
        warn(page, request, finding.model)
