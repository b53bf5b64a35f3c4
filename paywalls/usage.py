"""The usage that a provider reports, in buckets that don't overlap.

Providers disagree on what a prompt count holds: OpenAI's includes cached tokens, Anthropic's leaves them out.
Here each token is in one bucket, so that a bucket can have its own price.
"""

from dataclasses import dataclass

import orjson

# Beyond any context there is; a count above it is a fault of the provider, and nobody is charged by it.
MAX_TOKENS = 100_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request: `input` that no cache served, `cache_read`, `cache_write`, and `output`.

    `reasoning` is the part of `output` that the reader doesn't see.
    """

    input: int
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def prompt_tokens(self) -> int:
        """As OpenAI counts: cached tokens included."""
        return self.input + self.cache_read + self.cache_write

    @property
    def completion_tokens(self) -> int:
        """As OpenAI counts: reasoning included."""
        return self.output


def parse(usage: object) -> Usage | None:
    """The usage object of a chat answer in OpenAI's shape; None where it says nothing that can be charged.

    That is null, {}, or a count that is missing, negative, absurd or no integer. Explicit zeros are a usage
    of zero. Details that don't fit into their total are clamped to it.
    """
    if not isinstance(usage, dict):
        return None
    prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if prompt is None or output is None:
        return None
    details = usage.get("prompt_tokens_details")
    cache_read = min(_count(details, "cached_tokens") or 0, prompt)
    # OpenRouter's, for providers that charge for writing to the cache; inside prompt_tokens as well.
    cache_write = min(_count(details, "cache_write_tokens") or 0, prompt - cache_read)
    reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
    if reasoning and _count(usage, "total_tokens") == prompt + output + reasoning:
        output += reasoning  # xAI counts reasoning beside the completion; the total gives it away
    return Usage(
        input=prompt - cache_read - cache_write,
        cache_read=cache_read,
        cache_write=cache_write,
        output=output,
        reasoning=min(reasoning, output),
    )


def of_event(data: bytes) -> Usage | None:
    """The usage in the data of a stream's event, if it has one. The last one of a stream is what it used.

    Providers repeat `"usage": null` in every event, or a running total; only an event with counts is parsed
    at all.
    """
    if b'"prompt_tokens"' not in data:
        return None
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parse(event.get("usage")) if isinstance(event, dict) else None


def of_responses(usage: object) -> Usage | None:
    """The usage of OpenAI's Responses: as in chats, under other names."""
    if not isinstance(usage, dict):
        return None
    return parse(
        {
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "prompt_tokens_details": usage.get("input_tokens_details"),
            "completion_tokens_details": usage.get("output_tokens_details"),
        }
    )


def of_messages(usage: object) -> Usage | None:
    """The usage of Anthropic's Messages, whose input count leaves out what was read from or written to a cache."""
    fresh, output = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    if fresh is None or output is None:
        return None
    return Usage(
        input=fresh,
        cache_read=_count(usage, "cache_read_input_tokens") or 0,
        cache_write=_count(usage, "cache_creation_input_tokens") or 0,
        output=output,
    )


def _count(counts: object, field: str) -> int | None:
    value = counts.get(field) if isinstance(counts, dict) else None
    # A bool is an int to Python, but no count.
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        return None
    return value


def of_gemini(usage: object) -> Usage | None:
    """The `usageMetadata` of Gemini: the prompt holds what a cache served, thoughts stand beside the answer."""
    prompt = _count(usage, "promptTokenCount")
    if prompt is None:
        return None
    cache_read = min(_count(usage, "cachedContentTokenCount") or 0, prompt)
    reasoning = _count(usage, "thoughtsTokenCount") or 0
    tools = _count(usage, "toolUsePromptTokenCount") or 0
    return Usage(
        input=prompt - cache_read + tools,
        cache_read=cache_read,
        output=(_count(usage, "candidatesTokenCount") or 0) + reasoning,
        reasoning=reasoning,
    )


@dataclass(frozen=True, slots=True)
class Reported:
    """What a provider's whole answer says: its usage, and which provider and model it is from ("": it doesn't say)."""

    usage: Usage
    provider: str
    model: str


def of_answer(body: object) -> Reported | None:
    """The usage in an answer of OpenAI (chats and Responses), Anthropic or Gemini; None where none can be read."""
    if not isinstance(body, dict):
        return None
    if "usageMetadata" in body:
        return _reported(of_gemini(body["usageMetadata"]), "GOOGLE", body.get("modelVersion"))
    usage, model = body.get("usage"), body.get("model")
    if not isinstance(usage, dict):
        return None
    if "prompt_tokens" in usage:
        # Embeddings have no completion.
        return _reported(parse({"completion_tokens": 0, **usage}), "OPENAI", model)
    if body.get("type") == "message" or "cache_creation_input_tokens" in usage:
        return _reported(of_messages(usage), "ANTHROPIC", model)
    return _reported(of_responses(usage), "OPENAI", model)


def _reported(usage: Usage | None, provider: str, model: object) -> Reported | None:
    return Reported(usage, provider, model if isinstance(model, str) else "") if usage else None
