"""Errors that clients see. One base carries code and status; one handler per surface renders them."""

import re
from typing import Any


class ApiError(Exception):
    """An answer other than success, in the OpenAI error shape: message, type, param, code, HTTP status.

    `headers` go out with the answer; `details` list several faults where the surface shows them.
    Subclasses set the class attributes; an instance may override them.
    """

    status = 400
    type = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    details: list[dict[str, Any]] | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status or self.status
        self.code = code or self.code
        self.param = param or self.param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The OpenAI error object."""
        return error_body(self.message, type=self.type, code=self.code, param=self.param)

    def tenant_body(self) -> dict[str, Any]:
        """The error in the metering API's shape."""
        return tenant_error_body(self.message, self.code or self.type, self.details)


class InvalidKey(ApiError):
    """No key, an unknown key, or a revoked one."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class NotFound(ApiError):
    status = 404
    code = "not_found"


class Conflict(ApiError):
    status = 409
    code = "conflict"


class Unprocessable(ApiError):
    status = 422
    code = "unprocessable"


class BodyTooLarge(ApiError):
    """The request's body is over the limit, in bytes."""

    status = 413
    code = "request_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request body is over the limit of {limit:,} bytes.")


class Unavailable(ApiError):
    """Something of ours is busy or away; the client may try again."""

    status = 503
    type = "api_error"
    code = "temporarily_unavailable"

    def __init__(self, message: str, *, retry_after: int = 1, **overrides: Any) -> None:
        super().__init__(message, **overrides)
        self.headers.setdefault("Retry-After", str(retry_after))


class TooManyRequests(ApiError):
    """Over a limit of requests a time; `retry_after` is in seconds."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int, **overrides: Any) -> None:
        super().__init__(message, **overrides)
        self.headers.setdefault("Retry-After", str(retry_after))


def error_body(
    message: str, *, type: str, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """The OpenAI error object around a message."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


# The first words of the metering API's paths.
_METERING = re.compile(
    r"/v1/(analytics|burn-tables|credits|customers|entitlements|events|keys|rating|teams|users)([/?]|$)"
)


def is_metering(path: str) -> bool:
    """Whether errors on this path are in the metering API's shape."""
    return _METERING.match(path) is not None


def tenant_error_body(message: str, code: str, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The metering API's error: a code to branch on, a message to read; `details` where several things are wrong."""
    return {"error": code, "message": message} | ({"details": details} if details else {})
