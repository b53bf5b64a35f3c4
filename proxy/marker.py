"""The member `paywall`, by which programs know the paywall's own answers: only we may write it.

A provider's answer passes through byte for byte, unknown fields too, but for members of this name in the places where
ours stand: the outermost object, and its `message` (Anthropic's `message_start`) and `response` (OpenAI's Responses).
"""

import re

import orjson

from proxy import sse
from proxy.members import Member, joined, members, value_of

NAME = "paywall"

# Where one is in the text at all; nearly every event ends here.
_AT_END_OF_STRING = b'paywall"'
_ESCAPE = b"\\u00"
# A text without these has none.
SIGNS = (_AT_END_OF_STRING, _ESCAPE)
# The name has only letters from U+0060 to U+007F, whose escapes hardly anybody writes.
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
_HOLD_OURS = {"message", "response"}


def removed(text: bytes) -> bytes:
    """A JSON text without the members that only we write; the same bytes where there are none."""
    if not _may_have(text):
        return text
    found = members(text)
    if not found:
        return text
    kept = []
    for member in found:
        name = _name(member)
        piece = text[member[1] : member[2]]
        if name in _HOLD_OURS:
            inner = value_of(text, member)
            at = piece.rindex(inner)
            piece = piece[:at] + _without(inner) + piece[at + len(inner) :]
        if name != NAME:
            kept.append(piece)
    return joined(text, found, kept)


def removed_from(event: bytes) -> bytes:
    """The same of a server-sent event."""
    if not _may_have(event):
        return event
    data = sse.data_of(event)
    if data is None or (clean := removed(data)) == data:
        return event
    return sse.with_data(event, clean)


def _may_have(text: bytes) -> bool:
    return _AT_END_OF_STRING in text or (_ESCAPE in text and _ESCAPED_LETTER.search(text) is not None)


def _without(text: bytes) -> bytes:
    found = members(text) or []
    kept = [text[member[1] : member[2]] for member in found if _name(member) != NAME]
    return joined(text, found, kept) if len(kept) < len(found) else text


def _name(member: Member) -> object:
    """A member's name; None for one that is no JSON string, which no client can read."""
    try:
        return orjson.loads(member[0])
    except orjson.JSONDecodeError:
        return None
