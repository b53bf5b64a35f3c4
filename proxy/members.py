"""The members of a JSON object as bytes: found, and cut out without touching any other byte."""

import re

STRING = rb'"(?:[^"\\]++|\\.)*+"'
_OPENING = re.compile(rb"\s*+\{")
# A key and its value, where that is a string or a scalar; where it is nested the match ends at its bracket.
_MEMBER = re.compile(rb"\s*+(%s)\s*+:\s*+(?:%s|[^\s\"{}\[\],]++)?+" % (STRING, STRING), re.DOTALL)
_SEPARATOR = re.compile(rb"\s*+([,}])")
_STRING_OR_BRACKET = re.compile(STRING + rb"|[{}\[\]]", re.DOTALL)

# A quoted key, and where its member starts and ends, without the commas.
Member = tuple[bytes, int, int]


def members(text: bytes) -> list[Member] | None:
    """The members of the object that a text is; None where it is anything else."""
    found: list[Member] = []
    separator = _OPENING.match(text)
    while separator:
        start = separator.end()
        member = _MEMBER.match(text, start)
        if not member:
            return None
        end = member.end()
        if text[end : end + 1] in (b"{", b"["):
            end = _end_of_nested(text, end)
        separator = _SEPARATOR.match(text, end)
        if not separator:
            return None
        found.append((member[1], start, separator.start(1)))
        if separator[1] == b"}":
            return found
    return None


def value_of(text: bytes, member: Member) -> bytes:
    """What stands behind the member's colon."""
    key, start, end = member
    return text[text.index(b":", text.index(key, start) + len(key)) + 1 : end].strip()


def joined(text: bytes, found: list[Member], kept: list[bytes]) -> bytes:
    """The object with `kept` in place of all the members that were `found`."""
    return text[: found[0][1]] + b",".join(kept) + text[found[-1][2] :]


def _end_of_nested(text: bytes, start: int) -> int:
    """Where the object or array that begins at `start` ends; the end of the text where it doesn't."""
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text, start):
        if token[0] in b"{[":
            depth += 1
        elif token[0] in b"}]":
            depth -= 1
            if not depth:
                return token.end()
    return len(text)
