"""What becomes of a request when a provider does not answer with success."""

from http import HTTPStatus

import orjson

from config.errors import ApiError

# The client's own fault, in words that only the provider has: passed on as they are.
PASSED_ON = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_REFUSES_OUR_KEY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN}

# Of an error answer this much is read.
MAX_ERROR_BYTES = 64 * 1024
# A provider that wants a longer wait (seconds) is not waited for.
MAX_RETRY_AFTER = 5.0


class ProviderError(ApiError):
    """The provider failed or can't be used; nothing was charged."""

    status = 502
    type = "api_error"
    code = "provider_error"


class ProviderBusy(ProviderError):
    """No provider takes the request now; the client may try again."""

    status = 503
    code = "provider_rate_limited"


class RouteFailed(Exception):
    """A route did not serve the request, and nothing of its answer has reached the client.

    `told` is the error where no other route does. `again` says whether the same route is worth another try, after
    `wait` seconds at least; `is_fault` whether that speaks against the route.
    """

    def __init__(
        self, told: ProviderError, *, again: bool = True, wait: float = 0.0, is_fault: bool = True
    ) -> None:
        super().__init__(told.message)
        self.told = told
        self.again = again and wait <= MAX_RETRY_AFTER
        self.wait = wait
        self.is_fault = is_fault


def own_fault(status: int, body: bytes) -> ApiError | None:
    """The error for what the client did wrong; None where the provider's own answer says it."""
    if _is_openai_error(body):
        return None
    return ApiError(f"The model's provider refused the request (HTTP {status}).", status=status)


def failure(status: int, retry_after: str | None) -> RouteFailed:
    """What a provider's status other than success and the client's own faults means."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = _seconds(retry_after)
        headers = {"Retry-After": str(max(1, round(wait)))}
        busy = ProviderBusy("The model's provider is busy. Nothing was charged.", headers=headers)
        return RouteFailed(busy, wait=wait, is_fault=False)
    if status in _REFUSES_OUR_KEY:
        # Never the client's 401: its own key is fine, the operator's at the provider is not.
        message = "The model's provider refuses this paywall's provider key. Nothing was charged."
        return RouteFailed(ProviderError(message, code="provider_key_refused"), again=False)
    told = ProviderError(f"The model's provider failed (HTTP {status}). Nothing was charged.")
    again = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT
    return RouteFailed(told, again=again, wait=_seconds(retry_after))


def unreachable() -> RouteFailed:
    """No answer from the provider at all."""
    message = "The model's provider can't be reached. Nothing was charged."
    return RouteFailed(ProviderError(message, code="provider_unreachable"))


def too_slow() -> RouteFailed:
    """The first byte did not come in time; another try would wait as long."""
    message = "The model's provider did not answer in time. Nothing was charged."
    return RouteFailed(ProviderError(message, code="provider_timeout"), again=False)


def resting(seconds: float) -> RouteFailed:
    """Every route has failed lately, and nobody asks them for a while."""
    message = "The model's providers fail at the moment. Nothing was charged."
    headers = {"Retry-After": str(max(1, round(seconds)))}
    told = ProviderBusy(message, code="provider_unavailable", headers=headers)
    return RouteFailed(told, again=False, is_fault=False)


def broke_off(*, again: bool = True) -> RouteFailed:
    """The provider broke off before its answer was of any use."""
    return RouteFailed(died(), again=again)


def died() -> ProviderError:
    """The provider broke off before it was done."""
    return ProviderError("The model's provider broke off its answer.", code="provider_died")


def _seconds(retry_after: str | None) -> float:
    """A Retry-After in seconds, 0 where there is none; a date counts as longer than anybody waits."""
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        return 60.0
    return seconds if 0 <= seconds < 86_400 else 60.0


def _is_openai_error(body: bytes) -> bool:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(parsed, dict) and isinstance(parsed.get("error"), dict)
