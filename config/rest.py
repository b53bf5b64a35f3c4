"""The REST framework's hooks: strict JSON in, errors out in the shape of their surface."""

import logging
from collections.abc import Iterable, Iterator
from typing import IO, Any

import orjson
from django.conf import settings
from django.db import InterfaceError, OperationalError
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import ApiError, BodyTooLarge, Unavailable, error_body, tenant_error_body

log = logging.getLogger("tollgate.api")


class StrictJsonParser(BaseParser):
    """JSON as RFC 8259 has it.

    Python's own reader takes NaN, 1e999 and lone surrogates, which PostgreSQL's jsonb refuses, and dies of
    deep nesting; each of these would be a 500.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, Any]:
        """The JSON object in a body. Raises BodyTooLarge (413) or ApiError (400)."""
        raw = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(raw) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge(settings.MAX_BODY_BYTES)
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ApiError(f"The request body is not valid JSON: {error}.", code="invalid_json") from None
        if not isinstance(body, dict):
            raise ApiError("The request body must be a JSON object.", code="invalid_json")
        return body


class AlwaysJson(DefaultContentNegotiation):
    """One format out: a browser's or a stream reader's Accept is no reason to answer 406."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The first renderer, whatever the request accepts."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every error of the REST API in the OpenAI shape; None leaves a bug to Django (500)."""
    error = _of_database(error)
    if isinstance(error, ApiError):
        return Response(error.body(), status=error.status, headers=error.headers)
    if isinstance(error, exceptions.APIException):
        return _from_drf(error)
    return None


def tenant_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every error of the metering API in its own shape; None leaves a bug to Django (500)."""
    error = _of_database(error)
    if isinstance(error, ApiError):
        return Response(error.tenant_body(), status=error.status, headers=error.headers)
    if isinstance(error, exceptions.ValidationError):
        details = [{"field": field, "message": message} for field, message in _faults(error.detail)]
        first = details[0]
        message = f"{first['field']}: {first['message']}" if first["field"] else str(first["message"])
        return Response(tenant_error_body(message, "validation_error", details), status=error.status_code)
    if isinstance(error, exceptions.APIException):
        codes = error.get_codes()
        body = tenant_error_body(str(error.detail), codes if isinstance(codes, str) else "invalid_request")
        return Response(body, status=error.status_code)
    return None


def _of_database(error: Exception) -> Exception:
    """Where the database is away, the error that says so."""
    if not isinstance(error, OperationalError | InterfaceError):
        return error
    log.error("the database is away", exc_info=error)
    return Unavailable(
        "The database can't be reached. Try again; with the same Idempotency-Key nothing counts twice."
    )


def _from_drf(error: exceptions.APIException) -> Response:
    param, message = _first_fault(error.detail)
    if isinstance(error, exceptions.UnsupportedMediaType):
        message += " Send application/json."
    kind = "authentication_error" if error.status_code == 401 else "invalid_request_error"
    codes = error.get_codes()
    body = error_body(
        message, type=kind, code=codes if isinstance(codes, str) else "invalid_request", param=param
    )
    return Response(body, status=error.status_code)


def _first_fault(detail: Any) -> tuple[str | None, str]:
    """The first fault of DRF's nested error detail: (field path, message with the path)."""
    path, message = next(_faults(detail))
    return path, f"{path}: {message}" if path else message


def _faults(detail: Any, path: str | None = None) -> Iterator[tuple[str | None, str]]:
    """Each fault of DRF's nested error detail: (field path, message)."""
    if isinstance(detail, dict):
        for field, inner in detail.items():
            name = path if field == "non_field_errors" else f"{path}.{field}" if path else str(field)
            yield from _faults(inner, name)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _faults(inner, path)
    else:
        yield path, str(detail)
