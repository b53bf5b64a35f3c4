"""Server-sent events as bytes: where one ends, what it says, and how the provider's usage is hidden in it.

The gateway relays what the provider sent, byte for byte, so nothing here decodes or re-serializes. The format
is the WHATWG HTML standard's, section 9.2 "Server-sent events": lines end in CR LF, LF or CR, and a blank
line ends an event.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from proxy.members import joined, members

_BOM = b"\xef\xbb\xbf"
_DATA = b"data: "
_USAGE = b'"usage"'

# Two line ends in a row. Atomic, so that CR LF is never read as two ends.
_BLANK_LINE = re.compile(rb"[\r\n](?>(?<=\r)\n)?+(?>\r\n?|\n)")
_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
# The longest beginning of a blank line that more bytes could still complete or lengthen: CR LF CR.
_UNDECIDED = 3

# The same member in each event of several, whose lines end with the brace of the outermost object.
_NULLS_AT_END = re.compile(rb',"usage":null((?:,"\w++":"[^"\\]*+")*+}\n)')
# What OpenAI sends in nearly every chunk: the null near the end, behind it nothing or plain strings. As the
# last brace closes the outermost object, and nothing between holds a quote or a brace of its own, this is a
# top-level member.
_NULL_AT_END = re.compile(rb'(?<=,)"usage":null((?:,"\w++":"[^"\\]*+")*+}[\r\n]++\Z)')


class EventStream:
    """Cuts a byte stream into events, wherever the network cut it.

    Everything that `feed` returned, and then `rest`, is the input, byte for byte. Each byte is looked at
    once, so that a line of megabytes in small pieces takes linear time.
    """

    __slots__ = ("_pending", "_tail")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._tail = b""

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins an event."""
        return not self._pending

    @property
    def rest(self) -> bytes:
        """What came after the last complete event."""
        return b"".join(self._pending)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes, each with the blank line that ends it.

        A blank line more than needed begins the next event.
        """
        if not self._pending and b"\r" not in chunk:
            # Nearly every chunk: one event, or some whole ones.
            blank = chunk.find(b"\n\n")
            if blank < 0:
                self._keep(chunk)
                return []
            if blank + 2 == len(chunk):
                return [chunk]
        return self._split(chunk)

    def _split(self, chunk: bytes) -> list[bytes]:
        # Only the last bytes of what is pending can be part of a blank line with what came now.
        text, kept = self._tail + chunk, len(self._tail)
        events: list[bytes] = []
        start = kept
        for end in _event_ends(text):
            self._pending.append(text[start:end])
            events.append(b"".join(self._pending))
            self._pending.clear()
            self._tail = b""
            start = end
        self._keep(text[start:])
        return events

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pending.append(piece)
            self._tail = (self._tail + piece[-_UNDECIDED:])[-_UNDECIDED:]


def _event_ends(text: bytes) -> Iterator[int]:
    """Where events end in a text that begins inside of one."""
    if b"\r" not in text:
        end = text.find(b"\n\n")
        while end >= 0:
            yield end + 2
            end = text.find(b"\n\n", end + 2)
        return
    for match in _BLANK_LINE.finditer(text):
        # After CR LF CR at the very end the LF is still to come, and belongs to this event.
        if match.end() < len(text) or not match[0].endswith(b"\n\r"):
            yield match.end()


def data_of(event: bytes) -> bytes | None:
    """What the event says: its `data` lines, joined by LF. None where it has none (a keep-alive comment)."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    lines = [value for _, _, value in _lines(event) if value is not None]
    return b"\n".join(lines) if lines else None


def plain_data(text: bytes, noteworthy: Iterable[bytes]) -> tuple[list[bytes], int]:
    """The data of the events that `text` begins with, where each is one `data` line in LF, up to the first that has
    something `noteworthy` in it; and where they end. None, and 0, where the first one already is another.
    """
    ends = [at for word in (*noteworthy, b"\r") if (at := text.find(word)) >= 0]
    end = text.rfind(b"\n\n", 0, min(ends, default=len(text))) + 2
    if end < len(_DATA) or not text.startswith(_DATA):
        return [], 0
    plain = text[len(_DATA) : end - 2].split(b"\n\n" + _DATA)
    return (plain, end) if text.count(b"\n", 0, end) == 2 * len(plain) else ([], 0)


def with_usage_hidden(events: bytes) -> bytes | None:
    """Several events of one `data` line each without their `"usage": null`; None where it takes a closer look."""
    shown = _NULLS_AT_END.sub(rb"\1", events) if _USAGE in events else events
    return None if _USAGE in shown else shown


def hide_usage(event: bytes) -> bytes | None:
    """The event as a client sees it that did not ask for usage; None where nothing is left to send.

    The chunk that exists for its usage (empty `choices`) disappears. From any other the top-level member
    `usage`, null or object, is cut out; every other byte stays. What only looks like it, inside a string or
    deeper down, stays too.
    """
    at = event.find(_USAGE)
    if at < 0:
        return event
    if (end := _NULL_AT_END.match(event, at)) and event.startswith(b"data: {") and event.find(b"\n") > at:
        return event[: at - 1] + end[1]
    data = data_of(event)
    if data is None:
        return event
    parsed = _object(data)
    # What the parser refuses, such as half a surrogate pair, is looked through all the same.
    if parsed is not None and "usage" not in parsed:
        return event
    if parsed and parsed.get("choices") == [] and isinstance(parsed["usage"], dict):
        return None
    found = members(data)
    if not found or not any(key == _USAGE for key, _, _ in found):
        return event
    kept = [data[start:end] for key, start, end in found if key != _USAGE]
    return with_data(event, joined(data, found, kept))


def _object(data: bytes) -> dict[str, Any] | None:
    """The JSON object, empty where it is no object; None where it can't be parsed."""
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else {}


# --- Lines -----------------------------------------------------------------------------------------------


def _lines(event: bytes) -> Iterator[tuple[bytes, bytes, bytes | None]]:
    """Each line of an event with its end, and what it adds to the data (None where it is no `data` line)."""
    for match in _LINE.finditer(event.removeprefix(_BOM)):
        line, end = match.groups()
        field, _, value = line.partition(b":")
        yield line, end, value.removeprefix(b" ") if field == b"data" else None


def with_data(event: bytes, data: bytes) -> bytes:
    """The event with other data in place of its own."""
    result, waiting = [], True
    for line, end, value in _lines(event):
        if value is None:
            result += [line, end]
        elif waiting:
            # All of the data goes where its first line was; the prefix stays as it was written.
            prefix = line[: len(line) - len(value)]
            result += [prefix, data.replace(b"\n", end + prefix), end]
            waiting = False
    return b"".join(result)
