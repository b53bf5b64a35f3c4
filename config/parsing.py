"""Reading request bodies: strict JSON, with a limit."""

from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.parsers import BaseParser

from config.errors import ApiError, BodyTooLarge


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
            raise ApiError('The request body must be a JSON object, such as {"user": "alice"}.')
        return body
