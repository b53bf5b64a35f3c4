"""What a client is told when a provider does not answer with success."""

from http import HTTPStatus

import orjson

from config.errors import ApiError

# The client's own fault, in words that only the provider has: passed on as they are.
_PASSED_ON = {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}

# Of an error answer this much is read.
MAX_ERROR_BYTES = 64 * 1024


class ProviderError(ApiError):
    """The provider failed or can't be used; nothing was charged."""

    status = 502
    type = "api_error"
    code = "provider_error"


class ProviderBusy(ApiError):
    """The provider limits our rate; the client may try again."""

    status = 429
    type = "rate_limit_error"
    code = "provider_rate_limited"


def translate(status: int, body: bytes, retry_after: str | None) -> ApiError | None:
    """The error for a provider's status; None where its own answer is passed on."""
    if status in _PASSED_ON and _is_openai_error(body):
        return None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers = {"Retry-After": retry_after or "1"}
        return ProviderBusy("The model's provider is busy. Nothing was charged.", headers=headers)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        # Never the client's 401: its own key is fine, the operator's at the provider is not.
        return ProviderError(
            "The model's provider refuses this paywall's provider key. Nothing was charged.",
            code="provider_key_refused",
        )
    if status in _PASSED_ON:
        return ApiError(f"The model's provider refused the request (HTTP {status}).", status=status)
    return ProviderError(f"The model's provider failed (HTTP {status}). Nothing was charged.")


def unreachable() -> ProviderError:
    """No answer from the provider at all."""
    return ProviderError(
        "The model's provider can't be reached. Nothing was charged.", code="provider_unreachable"
    )


def died() -> ProviderError:
    """The provider broke off before it was done."""
    return ProviderError("The model's provider broke off its answer.", code="provider_died")


def _is_openai_error(body: bytes) -> bool:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(parsed, dict) and isinstance(parsed.get("error"), dict)
