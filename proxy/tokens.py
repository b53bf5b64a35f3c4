"""How many tokens a prompt or a text has, counted with OpenAI's `o200k_base` encoding.

The encoding ships with the project, because tiktoken would download it on first use: that fails in a closed
network and makes somebody's first request wait. `encodings/o200k_base.tiktoken.gz` is the file that tiktoken
itself loads (MIT, OpenAI), checked against the checksum that tiktoken expects. Nothing here touches the
network.

Counting is CPU work (30 ms for a megabyte of English, 0.1 to 0.5 s for a megabyte without words): run it in a
thread. tiktoken lets go of the interpreter lock meanwhile.
"""

import gzip
import hashlib
import re
import threading
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import tiktoken

# Both as in tiktoken_ext/openai_public.py; a test compares them with the installed tiktoken's.
CHECKSUM = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
PATTERN = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
FILE = Path(__file__).parent / "encodings" / "o200k_base.tiktoken.gz"

# What a chat costs beside its text: OpenAI Cookbook, "How to count tokens with tiktoken" (3 a message, 1 a
# name, 3 to prime the answer, 12 for a list of functions), and 3 for the frame of a tool call.
PER_MESSAGE = 3
PER_NAME = 1
PER_TOOL_CALL = 3
PER_SCHEMA = 12
PRIMING = 3

# The dearest image of any OpenAI chat model: gpt-4o-mini at high detail, a base of 2,833 tokens and at the
# most 8 tiles of 5,667 (OpenAI, "Images and vision: calculating costs"). What a request costs in the end is
# the provider's figure.
IMAGE_TOKENS_BOUND = 48_169

# Parts of a prompt that are no text, in OpenAI's Responses and Anthropic's Messages.
IMAGES = {"image", "image_url", "input_image"}
MEDIA = IMAGES | {"file", "input_file", "document", "input_audio"}

# Sound is counted by its length, which base64 of the most compressed speech bounds: 8 kbit/s are 1,333
# characters a second, for which providers count 32 tokens at the most (Gemini; OpenAI counts 10).
AUDIO_CHARACTERS_PER_TOKEN = 32

# The longest text that tiktoken gets at once: its work grows faster than a run of letters or spaces does
# (older versions: quadratically), and a run of a million spaces makes its regex engine panic.
WINDOW = 4_096

# Before a space that follows anything but white space o200k_base always starts a new piece, so a cut is exact
# there.
_LAST_EXACT_CUT = re.compile(r".*\S(?= )", re.DOTALL)

Measure = Callable[[str], int]

_loading = threading.Lock()


class DamagedEncoding(Exception):
    """The encoding file is not the one that tiktoken expects."""


def warm() -> None:
    """Load the encoding now (0.2 to 0.5 s of CPU, 75 MB), so that no request waits for it. Any thread may.

    Raises DamagedEncoding where the file isn't the expected one.
    """
    _encoding()


def count_text(text: str) -> int:
    """The tokens of a text. Never raises: special tokens are plain text, a lone surrogate counts as U+FFFD.

    Exact, but for runs of more than `WINDOW` characters without a space between words: they are counted in
    parts, which can make a token more per part. The time is linear in the text's length.
    """
    encode = _encoding().encode_ordinary
    if len(text) <= WINDOW:
        return len(encode(text))
    return sum(len(encode(part)) for part in _windows(text))


def count_prompt(body: Mapping[str, Any]) -> int:
    """The prompt tokens of a chat request: messages, names, tool calls, schemas of tools and answer.

    Text is exact for OpenAI's models since gpt-4o. Schemas count as compact JSON, images as
    `IMAGE_TOKENS_BOUND`.
    """
    return _prompt(body, count_text)


def upper_bound(body: Mapping[str, Any]) -> int:
    """A cheap bound that `count_prompt` never exceeds: the same sum with every text at its size in UTF-8.

    The encoding is byte-level, so a text never has more tokens than bytes. Takes microseconds and no
    encoding.
    """
    return _prompt(body, utf8_size)


def count_input(*values: object) -> int:
    """The tokens of any other API's prompt: every text and number in the JSON values, media at their bound."""
    return sum(_value(value, count_text) for value in values)


def input_bound(*values: object) -> int:
    """A cheap bound that `count_input` never exceeds."""
    return sum(_value(value, utf8_size) for value in values)


def count_images(value: object) -> int:
    """The images in a request of any API, wherever they are in it."""
    return sum(_kind(item) in IMAGES for item in _mappings(value))


def utf8_size(text: str) -> int:
    """The bytes of a text in UTF-8; a lone surrogate takes three, like the U+FFFD that it is counted as."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


# --- The encoding ----------------------------------------------------------------------------------------


def _encoding() -> tiktoken.Encoding:
    with _loading:  # whoever comes while it loads waits for that one load
        return _load()


@cache
def _load() -> tiktoken.Encoding:
    raw = gzip.decompress(FILE.read_bytes())
    if hashlib.sha256(raw).hexdigest() != CHECKSUM:
        raise DamagedEncoding(f"{FILE.name} is damaged: get the file of this release again.")
    ranks = {a2b_base64(token): int(rank) for token, rank in map(bytes.split, raw.splitlines())}
    return tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def _windows(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + WINDOW
        if end < len(text) and (cut := _LAST_EXACT_CUT.match(text, start, end)):
            end = cut.end()
        yield text[start:end]
        start = end


# --- A chat request --------------------------------------------------------------------------------------


def _prompt(body: Mapping[str, Any], measure: Measure) -> int:
    messages = body.get("messages")
    total = PRIMING
    if isinstance(messages, list):
        total += sum(_message(message, measure) for message in messages)
    for field in ("tools", "functions", "response_format"):
        if schema := body.get(field):
            total += PER_SCHEMA + measure(_serialized(schema))
    return total


def _message(message: object, measure: Measure) -> int:
    if not isinstance(message, dict):
        return measure(_serialized(message))
    total = PER_MESSAGE
    for field, value in message.items():
        if isinstance(value, str):
            total += measure(value)
        elif isinstance(value, list):
            count = _tool_call if field == "tool_calls" else _part
            total += sum(count(item, measure) for item in value)
        elif isinstance(value, dict):
            total += measure(_serialized(value))
        if field == "name":
            total += PER_NAME
    return total


def _tool_call(call: object, measure: Measure) -> int:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return PER_TOOL_CALL + measure(_serialized(call))
    return PER_TOOL_CALL + sum(
        measure(value if isinstance(value, str) else _serialized(value)) for value in function.values()
    )


def _part(part: object, measure: Measure) -> int:
    if not isinstance(part, dict):
        return measure(_serialized(part))
    match part.get("type"):
        case "text" if isinstance(part.get("text"), str):
            return measure(part["text"])
        case "image_url" | "input_image":
            return IMAGE_TOKENS_BOUND
        case "input_audio":
            return utf8_size(_serialized(part)) // AUDIO_CHARACTERS_PER_TOKEN
        case "file" | "video_url":
            # Of pages and frames the encoding says nothing: a token a byte, and never less than an image.
            return max(IMAGE_TOKENS_BOUND, utf8_size(_serialized(part)))
        case _:
            return measure(_serialized(part))


# --- Any other prompt ------------------------------------------------------------------------------------


def _value(value: object, measure: Measure) -> int:
    """Without recursion, so that no depth is too deep. A number in a list is a token that the client made."""
    total, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            total += measure(item)
        elif isinstance(item, dict):
            if _kind(item) in MEDIA:
                total += _media(item)
                continue
            # Names of members and the frame around a message or a tool cost a little, too.
            total += PER_MESSAGE + len(item)
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif item is not None:
            total += 1
    return total


def _kind(part: Mapping[str, Any]) -> str:
    # In a schema a property may be called "type", and be an object.
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Every object in a JSON value."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _media(part: Mapping[str, Any]) -> int:
    if _kind(part) in IMAGES:
        return IMAGE_TOKENS_BOUND
    return max(IMAGE_TOKENS_BOUND, utf8_size(_serialized(part)))


def _serialized(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # lone surrogates, integers beyond 64 bits, or nested deeper than orjson goes
        return " ".join(_leaves(value))


def _leaves(value: object) -> Iterator[str]:
    """Every key and scalar below a JSON value, as text; without recursion, so that no depth is too deep."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
        else:
            yield str(item)
