"""A chat request as the client sent it: checked, and made into what is forwarded."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from config.errors import ApiError
from proxy.snapshot import ModelSnapshot

# OpenAI's own limit on the choices of one request.
MAX_CHOICES = 128

_LIMITS = ("max_completion_tokens", "max_tokens")


class InvalidRequest(ApiError):
    """The body is not a chat request; `param` names the field, the message says what to change."""

    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A valid request; `body` is all of it, parsed."""

    body: dict[str, Any]
    model: str
    stream: bool
    wants_usage: bool
    choices: int
    limit: int | None

    def output_bound(self, model: ModelSnapshot) -> int:
        """The most tokens that one choice may generate: the client's limit, lowered to the model's."""
        return min(self.limit or model.max_output_tokens, model.max_output_tokens)

    def forwarded(self, model: ModelSnapshot) -> dict[str, Any]:
        """The body for the provider: all as it came, but for the model's id, the limit and the wish for usage."""
        body = {**self.body, "model": model.upstream_model}
        given = [field for field in _LIMITS if body.get(field) is not None]
        for field in given or [_limit_field(model.provider.base_url)]:
            body[field] = self.output_bound(model)
        if self.stream:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return body


def parse(raw: bytes) -> ChatRequest:
    """Check a request body. Raises InvalidRequest, naming the first field to change."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    stream_options = _optional(body, "stream_options", dict, "an object") or {}
    return ChatRequest(
        body=body,
        model=_model(body),
        stream=bool(_optional(body, "stream", bool, "true or false")),
        wants_usage=stream_options.get("include_usage") is True,
        choices=_whole(body, "n", MAX_CHOICES) or 1,
        limit=_limit(_messages_checked(body)),
    )


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model: must be the id of a model, see GET /v1/models.", param="model")
    return model


def _messages_checked(body: dict[str, Any]) -> dict[str, Any]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages: must be a list of at least one message.", param="messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidRequest(f"messages[{index}]: must be an object.", param=f"messages[{index}]")
    return body


def _limit(body: dict[str, Any]) -> int | None:
    """The smallest limit given; OpenAI's own field and its older name mean the same."""
    given = [limit for field in _LIMITS if (limit := _whole(body, field)) is not None]
    return min(given, default=None)


def _whole(body: dict[str, Any], field: str, most: int | None = None) -> int | None:
    value = body.get(field)
    if value is None:
        return None
    if type(value) is not int or value < 1 or (most is not None and value > most):
        span = f"from 1 to {most}" if most else "of at least 1"
        raise InvalidRequest(f"{field}: must be a whole number {span}.", param=field)
    return value


def _optional(body: dict[str, Any], field: str, kind: type, wanted: str) -> Any:
    value = body.get(field)
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(f"{field}: must be {wanted}.", param=field)
    return value


def _limit_field(base_url: str) -> str:
    """OpenAI's reasoning models refuse `max_tokens`; most other providers know nothing else."""
    host = urlsplit(base_url).hostname or ""
    return "max_completion_tokens" if host.endswith(("openai.com", "openai.azure.com")) else "max_tokens"
