"""What a model generated, counted by us, for providers that report no usage and streams that break off.

Only what the model said counts: text, reasoning, refusals and tool calls, over all choices. The text of an
error is never charged as a completion.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from proxy.tokens import count_text

# Raw events wait unparsed until there is this much of them (bytes): most streams end with the provider's
# usage.
RAW_LIMIT = 32 * 1024
# Text waits uncounted until there is this much of it (characters, some 16,000 tokens): counting it takes 2 to
# 10 ms.
TEXT_LIMIT = 64 * 1024

# Where a piece of text belongs: the choice, and what it is in there. Pieces of one place make one text.
Place = tuple[object, ...]
# Reads what a parsed event adds to the answer; each API has its own.
Said = Callable[[object], Iterator[tuple[Place, str]]]


class Generated:
    """The text of one stream, as its events go by. Keeps at most `RAW_LIMIT` and `TEXT_LIMIT`, and one
    event."""

    __slots__ = ("_counted", "_raw", "_raw_size", "_said", "_text_size", "_texts")

    def __init__(self, said: Said | None = None) -> None:
        self._said = said or _said_in_chunk
        self._raw: list[bytes] = []
        self._raw_size = 0
        self._texts: dict[Place, str] = {}
        self._text_size = 0
        self._counted = 0

    def add(self, event_data: bytes) -> None:
        """Take note of the data of one event."""
        self.add_all((event_data,))

    def add_all(self, data: Sequence[bytes]) -> None:
        """The same of several."""
        self._raw += data
        self._raw_size += sum(map(len, data))
        if self._raw_size > RAW_LIMIT:
            self._compact()
            if self._text_size > TEXT_LIMIT:
                self._counted += self._count()
                self._texts.clear()
                self._text_size = 0

    def tokens(self) -> int:
        """The tokens so far. CPU work (up to some 10 ms): run it in a thread, once nothing is added."""
        self._compact()
        return self._counted + self._count()

    def _compact(self) -> None:
        pieces: dict[Place, list[str]] = {}
        for raw in self._raw:
            for place, text in self._said(_parsed(raw)):
                pieces.setdefault(place, [self._texts.get(place, "")]).append(text)
                self._text_size += len(text)
        self._texts.update((place, "".join(texts)) for place, texts in pieces.items())
        self._raw.clear()
        self._raw_size = 0

    def _count(self) -> int:
        return sum(map(count_text, self._texts.values()))


def from_completion(body: Mapping[str, Any]) -> int:
    """The completion tokens of a plain answer without usage. CPU work: run it in a thread."""
    return sum(count_text(text) for _, text in _said(body, "message"))


def _said_in_chunk(body: object) -> Iterator[tuple[Place, str]]:
    return _said(body, "delta")


def _parsed(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:  # `[DONE]`, or no JSON at all
        return None


def _said(body: object, field: str) -> Iterator[tuple[Place, str]]:
    """What the choices of a chunk (`delta`) or an answer (`message`) say, each text with its place."""
    if not isinstance(body, dict) or body.get("error"):
        return
    for choice in _list(body.get("choices")):
        message = choice.get(field) if isinstance(choice, dict) else None
        if isinstance(message, dict):
            for place, text in _texts(message):
                yield (str(choice.get("index")), *place), text


def _texts(message: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    for part in _parts(message.get("content")):
        yield ("content",), part
    # Some providers send both names with the same text.
    for part in _parts(message.get("reasoning_content") or message.get("reasoning")):
        yield ("reasoning",), part
    for part in _parts(message.get("refusal")):
        yield ("refusal",), part
    calls = [*_list(message.get("tool_calls")), {"function": message.get("function_call")}]
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                for part in _parts(function.get(name)):
                    yield (str(call.get("index")), name), part


def _parts(value: object) -> Iterator[str]:
    """A text, or the texts in a list of parts (Mistral's reasoning models send those, nested)."""
    if isinstance(value, str):
        yield value
    for part in _list(value):
        if isinstance(part, dict):
            yield from _parts(part.get("text") or part.get("thinking"))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
