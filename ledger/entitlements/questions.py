"""What a check or a consume asks, read from JSON by hand: a thousand times a second, beside the gateway."""

import re
from typing import Any, NamedTuple

from config.errors import ApiError
from ledger.models.entitlement import MAX_FEATURE_ID
from paywalls.models.enduser import MAX_EXTERNAL_ID

ACTIONS = ("token_usage", "image_generation", "api_call", "custom")
MAX_TOKENS = 10**12
MAX_NAME = 128

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Question(NamedTuple):
    """May `user_id` use `feature_id`, with so many tokens of a model? '' is no model, and no team that pays."""

    user_id: str
    feature_id: str
    provider: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    team_id: str = ""

    @property
    def has_estimate(self) -> bool:
        """Whether it says enough to price it."""
        return bool(self.model or self.input_tokens or self.output_tokens)


def invalid(faults: list[dict[str, Any]]) -> ApiError:
    """The error of a body with these faults."""
    error = ApiError(f"{faults[0]['field']}: {faults[0]['message']}", code="validation_error")
    error.details = faults
    return error


def parse(body: Any, *, needs_action: bool = True) -> Question:
    """The question in a JSON body. Raises ApiError (400) with every fault."""
    faults: list[dict[str, Any]] = []
    if not isinstance(body, dict):
        raise invalid([{"field": "body", "message": "must be a JSON object"}])

    def text(source: dict[str, Any], name: str, limit: int, *, path: str = "", required: bool = False) -> str:
        value = source.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or (required and not value):
            faults.append({"field": path + name, "message": "must be a text that is not empty"})
        elif len(value) > limit:
            faults.append({"field": path + name, "message": f"must have at most {limit} characters"})
        elif _CONTROL.search(value):
            faults.append({"field": path + name, "message": "must not contain control characters"})
        else:
            return value
        return ""

    def count(source: dict[str, Any], name: str) -> int:
        value = source.get(name, 0)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TOKENS:
            message = f"must be a number from 0 to {MAX_TOKENS}"
            faults.append({"field": f"action.{name}", "message": message})
            return 0
        # A part of a token counts as one: an estimate is no promise, but it shouldn't be low.
        return int(value) + (value % 1 > 0)

    user_id = text(body, "userId", MAX_EXTERNAL_ID, required=True)
    feature_id = text(body, "featureId", MAX_FEATURE_ID, required=True)
    action = body.get("action")
    if not isinstance(action, dict):
        if action is not None or needs_action:
            faults.append({"field": "action", "message": "must be an object with a type"})
        action = {}
    elif action.get("type") not in ACTIONS:
        faults.append({"field": "action.type", "message": f"must be one of {', '.join(ACTIONS)}"})
    question = Question(
        user_id,
        feature_id,
        text(action, "provider", MAX_NAME, path="action.").upper(),
        text(action, "model", MAX_NAME, path="action."),
        count(action, "estimated_input_tokens"),
        count(action, "estimated_output_tokens"),
        text(body, "teamId", MAX_EXTERNAL_ID),
    )
    if faults:
        raise invalid(faults)
    return question
