"""What an API has to say of itself to be metered and paid."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from config.errors import ApiError
from paywalls.usage import Usage
from proxy import marker, tokens
from proxy.decisions import Decision
from proxy.snapshot import ModelSnapshot, ProviderSnapshot


class InvalidRequest(ApiError):
    """The body is not a request of this API; `param` names the field, the message says what to change."""

    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A valid request. `limit` is the client's own on the tokens of one choice, None where it gave none."""

    surface: "Surface"
    body: dict[str, Any]
    model: str
    stream: bool = False
    wants_usage: bool = True
    choices: int = 1
    limit: int | None = None

    def images(self, model: ModelSnapshot) -> int:
        """The images to pay for: those that the request sends, where the model's price or cost counts them."""
        counted = model.price.image or (model.cost and model.cost.image)
        return tokens.count_images(self.body) if counted else 0

    def output_bound(self, model: ModelSnapshot) -> int:
        """The most tokens that one choice may generate: the client's limit, lowered to the model's."""
        return min(self.limit or model.max_output_tokens, model.max_output_tokens)

    def forwarded(self, model: ModelSnapshot) -> dict[str, Any]:
        """The body for the provider: all as it came, but for the model's id, what metering needs, and what is ours."""
        changed = {**self.body, "model": model.upstream_model, **self.surface.changed(self, model)}
        # Of somebody who sends our own answer back.
        changed.pop(marker.NAME, None)
        return changed


class StreamReader(ABC):
    """Reads one stream as it is relayed: what was used, what was generated, and where it ends.

    `finished` is true once the model has said that it is done, so that a connection that closes is no failure; `failed`
    once the provider itself has said that it can't go on.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finished = False
        self.failed = False

    def skim(self, text: bytes) -> tuple[int, bytes, bytes]:
        """The events that `text` begins with and that only add to the answer, seen at once: how many, as the client is
        shown them, and what comes after. What it leaves is to be seen one by one."""
        return 0, b"", text

    @abstractmethod
    def see(self, event: bytes) -> bytes:
        """Take note of an event; the bytes of it that the client is shown."""

    @abstractmethod
    def is_last(self, event: bytes) -> bool:
        """Whether the stream ends with this event; it is held back until the settlement is durable."""

    @abstractmethod
    def output_tokens(self) -> int:
        """The tokens of what was generated so far, counted by us. CPU work: run it in a thread."""


class Surface(ABC):
    """One API. `path` is where it is, below /v1 and below a provider's base URL; providers list its `name`."""

    name: ClassVar[str]
    path: ClassVar[str]

    # --- The request -------------------------------------------------------------------------------------

    @abstractmethod
    def parse(self, raw: bytes) -> ModelRequest:
        """Check a request body. Raises InvalidRequest, naming the first field to change."""

    def named_user(self, body: dict[str, Any]) -> object:
        """The end user that the body names, None where it names none."""
        return body.get("user")

    def changed(self, request: ModelRequest, model: ModelSnapshot) -> dict[str, Any]:
        """The members of the body that the provider gets otherwise than they came."""
        return {}

    @abstractmethod
    def upper_bound(self, body: dict[str, Any]) -> int:
        """A cheap bound of the prompt's tokens."""

    @abstractmethod
    def count_prompt(self, body: dict[str, Any]) -> int:
        """The prompt's tokens, counted. CPU work: run it in a thread."""

    def credentials(self, provider: ProviderSnapshot, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers that open the provider's door; `headers` are the client's, by lower-case name."""
        return {"authorization": f"Bearer {provider.api_key}"} if provider.api_key else {}

    # --- The answer --------------------------------------------------------------------------------------

    @abstractmethod
    def usage(self, answer: dict[str, Any]) -> Usage | None:
        """The usage that a plain answer reports."""

    @abstractmethod
    def output_tokens(self, answer: dict[str, Any]) -> int:
        """The tokens of a plain answer without usage, counted by us. CPU work: run it in a thread."""

    @abstractmethod
    def reader(self, request: ModelRequest) -> StreamReader:
        """A reader for one stream."""

    # --- The paywall's own words -------------------------------------------------------------------------

    def message(self, key: str, request: ModelRequest, decision: Decision) -> dict[str, Any] | None:
        """The decision as a normal answer (`key` makes its id); None where this API has no words for people."""
        return None

    def message_stream(self, key: str, request: ModelRequest, decision: Decision) -> bytes:
        """The same as a stream."""
        raise NotImplementedError

    def error(self, error: ApiError) -> dict[str, Any]:
        """An error in this API's shape."""
        return error.body()

    def error_event(self, error: ApiError) -> bytes:
        """The same as the last event of a stream that has begun."""
        return event(self.error(error))


# --- What the adapters share -----------------------------------------------------------------------------


def event(data: dict[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def is_error(data: bytes) -> bool:
    """Whether the data of an event is an error: OpenAI's `{"error": {…}}` or the type `error`, as Anthropic's is."""
    if b'"error"' not in data:
        return False
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(parsed, dict) and bool(parsed.get("error") or parsed.get("type") == "error")


def parsed_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises InvalidRequest."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    return body


def model_of(body: dict[str, Any]) -> str:
    """The model that a body asks for. Raises InvalidRequest."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model: must be the id of a model, see GET /v1/models.", param="model")
    return model


def check_messages(body: dict[str, Any]) -> None:
    """Raises InvalidRequest unless `messages` is a list of at least one object."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages: must be a list of at least one message.", param="messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidRequest(f"messages[{index}]: must be an object.", param=f"messages[{index}]")


def whole(body: dict[str, Any], field: str, most: int | None = None) -> int | None:
    """A member that must be a whole number of at least 1; None where it is absent. Raises InvalidRequest."""
    value = body.get(field)
    if value is None:
        return None
    if type(value) is not int or value < 1 or (most is not None and value > most):
        span = f"from 1 to {most}" if most else "of at least 1"
        raise InvalidRequest(f"{field}: must be a whole number {span}.", param=field)
    return value


def flag(body: dict[str, Any], field: str) -> bool:
    """A member that must be true or false; false where it is absent. Raises InvalidRequest."""
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"{field}: must be true or false.", param=field)
    return bool(value)


def stream_options(body: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's `stream_options`, {} where absent. Raises InvalidRequest."""
    value = body.get("stream_options")
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest("stream_options: must be an object.", param="stream_options")
    return value or {}


def checked_input(body: dict[str, Any], field: str) -> Any:
    """A prompt: text, or a list that is not empty. Raises InvalidRequest."""
    value = body.get(field)
    if not isinstance(value, str | list) or not value:
        raise InvalidRequest(f"{field}: must be text or a list, and not empty.", param=field)
    return value
