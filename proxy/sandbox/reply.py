"""What the sandbox says: a fixed preface and the last user message, the tool call it asks for, or its result."""

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.tokens import count_text

PREFACE = "You said: "
TOOL_PREFACE = "The tool said: "

# Before a space that follows a word a new token starts in any case, so the words' tokens sum to the text's.
_BETWEEN_WORDS = re.compile(r"(?<=\S)(?= )")
_CALL = re.compile(r"call ([\w-]+) (\{.*\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in words that concatenate to its text, or to the arguments of a call of `tool`."""

    words: list[str]
    finish_reason: str
    tool: str | None = None

    @property
    def text(self) -> str:
        """The whole text, or the tool call's whole arguments."""
        return "".join(self.words)

    @property
    def tokens(self) -> int:
        """The completion tokens of one choice."""
        return count_text(self.tool or "") + count_text(self.text)


def reply_to(body: Mapping[str, Any]) -> Reply:
    """The reply to a chat request, cut to its token limit. CPU work: run it in a thread."""
    tool, text, finish = _answer(body)
    limits = [limit for limit in (body.get("max_tokens"), body.get("max_completion_tokens")) if limit]
    words = _BETWEEN_WORDS.split(text)
    if not limits:
        return Reply(words, finish, tool)
    room = min(limits) - count_text(tool or "")
    if room < 0:
        return Reply([], "length")
    kept = _fitting(words, room)
    return Reply(kept, finish if kept == words else "length", tool)


def _fitting(words: list[str], room: int) -> list[str]:
    """As many words as `room` tokens hold; the first that doesn't fit is cut."""
    kept: list[str] = []
    for word in words:
        size = count_text(word)
        if size > room:
            length = bisect.bisect_right(range(len(word)), room, key=lambda end: count_text(word[:end])) - 1
            return [*kept, word[:length]] if length > 0 else kept
        kept.append(word)
        room -= size
    return kept


def _answer(body: Mapping[str, Any]) -> tuple[str | None, str, str]:
    """The tool that is called, the text or the arguments, and the reason to finish."""
    sent = body.get("messages")
    messages = [one for one in (sent if isinstance(sent, list) else []) if isinstance(one, Mapping)]
    # An agent that brings a result gets it back in words, or it would call the tool for ever.
    if messages and messages[-1].get("role") == "tool":
        return None, TOOL_PREFACE + _text(messages[-1].get("content")), "stop"
    users = [message.get("content") for message in messages if message.get("role") == "user"]
    said = _text(users[-1] if users else "")
    return _wanted_call(body, said) or (None, PREFACE + said, "stop")


def _text(content: object) -> str:
    """The text of a message's content, also where it comes in parts."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(text for text in texts if isinstance(text, str))
    # JSON can name half of a surrogate pair, UTF-8 can't.
    return content.encode(errors="replace").decode() if isinstance(content, str) else ""


def _wanted_call(body: Mapping[str, Any], said: str) -> tuple[str, str, str] | None:
    """The tool that is called, its arguments, and the reason to finish; None where the answer is text."""
    choice = body.get("tool_choice")
    names = [_function_name(tool) for tool in body.get("tools") or []]
    if choice == "none" or not names:
        return None
    asked = _CALL.fullmatch(said.strip())
    if asked and asked[1] in names:
        return asked[1], asked[2], "tool_calls"
    forced = _function_name(choice)
    return (forced, "{}", "tool_calls") if forced in names and forced else None


def _function_name(tool: object) -> str | None:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else None
