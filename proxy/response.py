"""A provider's answer as the gateway sees it, whoever gave it: an HTTP server or the built-in sandbox."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import AsyncGeneratorType


class UpstreamDied(Exception):
    """The answer broke off, or can't be read to its end."""


class AnswerTooLong(UpstreamDied):
    """The answer is longer than the reader was ready to take."""


@dataclass(slots=True)
class UpstreamResponse:
    """Status and headers, and the body as it comes. `aclose` it, read or not.

    `chunks` raises UpstreamDied where the body breaks off. `close` gives back what is behind it, such as a
    connection; it can't be left to the end of `chunks`, because a generator that was never started runs no
    cleanup.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    close: Callable[[], None] | None = None

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises AnswerTooLong past `limit` bytes, UpstreamDied where it breaks off."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks:
            size += len(chunk)
            if size > limit:
                raise AnswerTooLong(f"The answer is longer than {limit} bytes.")
            parts.append(chunk)
        return b"".join(parts)

    async def aclose(self) -> None:
        """Stop reading and give back the connection. Harmless when called again."""
        if isinstance(self.chunks, AsyncGeneratorType):
            await self.chunks.aclose()
        if self.close is not None:
            self.close()
