"""What a provider says it used, and what we count where it says nothing."""

from typing import Any

import orjson
import pytest

from paywalls import usage
from paywalls.usage import Usage
from proxy import estimate
from proxy.estimate import Generated, from_completion
from proxy.tokens import count_text

# --- The provider's usage --------------------------------------------------------------------------------


def test_cached_tokens_are_inside_openais_prompt_count() -> None:
    parsed = usage.parse(
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 20},
        }
    )
    assert parsed == Usage(input=70, cache_read=30, cache_write=0, output=50, reasoning=20)
    assert (parsed.prompt_tokens, parsed.completion_tokens) == (100, 50)


def test_writing_to_a_cache_has_a_bucket_of_its_own() -> None:
    details = {"cached_tokens": 30, "cache_write_tokens": 50}
    parsed = usage.parse({"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": details})
    assert parsed == Usage(input=20, cache_read=30, cache_write=50, output=1, reasoning=0)


def test_reasoning_that_is_reported_beside_the_completion_counts_as_output() -> None:
    parsed = usage.parse(
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        }
    )
    assert parsed == Usage(input=32, cache_read=0, cache_write=0, output=103, reasoning=94)


def test_explicit_zeros_are_a_usage_of_zero() -> None:
    assert usage.parse({"prompt_tokens": 0, "completion_tokens": 0}) == Usage(0, 0, 0, 0, 0)


@pytest.mark.parametrize("details", [None, [], "x", {"cached_tokens": None}, {"cached_tokens": -1}, {}])
def test_details_that_say_nothing_are_passed_over(details: Any) -> None:
    counts = {"prompt_tokens": 5, "completion_tokens": 3}
    parsed = usage.parse({**counts, "prompt_tokens_details": details, "completion_tokens_details": details})
    assert parsed == Usage(input=5, cache_read=0, cache_write=0, output=3, reasoning=0)


def test_details_larger_than_their_total_are_clamped_to_it() -> None:
    parsed = usage.parse(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 99, "cache_write_tokens": 99},
            "completion_tokens_details": {"reasoning_tokens": 99},
        }
    )
    assert parsed == Usage(input=0, cache_read=10, cache_write=0, output=5, reasoning=5)


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        {},
        [],
        "usage",
        7,
        {"prompt_tokens": 5},
        {"completion_tokens": 5},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": -1},
        {"prompt_tokens": "5", "completion_tokens": "5"},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": 5.0, "completion_tokens": 5.0},
        {"prompt_tokens": 10**18, "completion_tokens": 5},
    ],
)
def test_usage_that_says_nothing_is_no_usage(nonsense: Any) -> None:
    assert usage.parse(nonsense) is None


@pytest.mark.parametrize(
    "data",
    [
        b"[DONE]",
        b'{"choices":[],"usage":null}',
        b'{"choices":[{"delta":{"content":"\\"prompt_tokens\\""}}]}',
        b'{"usage":{"prompt_tokens":',
        b'["prompt_tokens"]',
        b'{"prompt_tokens":1,"completion_tokens":1}',
    ],
)
def test_an_event_without_usage_has_none(data: bytes) -> None:
    assert usage.of_event(data) is None


def test_the_usage_of_an_event_is_read() -> None:
    counts = {"prompt_tokens": 7, "completion_tokens": 3}
    assert usage.of_event(orjson.dumps({"choices": [], "usage": counts})) == Usage(7, 0, 0, 3, 0)


# --- Our own count ---------------------------------------------------------------------------------------


def delta(fields: dict[str, Any], index: int = 0) -> bytes:
    return orjson.dumps({"choices": [{"index": index, "delta": fields}]})


def counted(*events: bytes) -> int:
    generated = Generated()
    for event in events:
        generated.add(event)
    return generated.tokens()


def test_the_words_of_a_stream_count_as_one_text() -> None:
    text = "Antidisestablishmentarianism is a long word, isn't it?"
    assert counted(*(delta({"content": letter}) for letter in text)) == count_text(text)


def test_choices_count_apart_though_their_words_alternate() -> None:
    words = ["Good", "bye", " wonder", "ful", " world"]
    events = [delta({"content": word}, index) for word in words for index in (0, 1)]
    assert counted(*events) == 2 * count_text("".join(words))


def test_reasoning_refusals_and_tool_calls_are_generated_too() -> None:
    events = [
        delta({"role": "assistant", "content": ""}),
        delta({"reasoning_content": "Let me think about it."}),
        delta({"refusal": "I can't help with that."}),
        delta(
            {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "get_weather", "arguments": ""}}]}
        ),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]}),
        b"[DONE]",
    ]
    expected = ["Let me think about it.", "I can't help with that.", "get_weather", '{"city":"Paris"}']
    assert counted(*events) == sum(map(count_text, expected))


def test_reasoning_under_two_names_counts_once() -> None:
    said = "Let me think."
    assert counted(delta({"reasoning": said, "reasoning_content": said})) == count_text(said)
    assert counted(delta({"reasoning": said})) == count_text(said)


def test_text_in_parts_is_counted() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "First, "}]}
    assert counted(delta({"content": [thinking, {"type": "text", "text": "hello"}]})) == count_text(
        "First, hello"
    )


@pytest.mark.parametrize(
    "event",
    [
        b'{"error":{"message":"The server had an error, sorry about that.","type":"server_error"}}',
        b'{"error":"overloaded","choices":[{"index":0,"delta":{"content":"The server is overloaded."}}]}',
        b'{"choices":[{"index":0,"error":{"message":"It broke."},"delta":{"content":""}}]}',
        b"The server had an error",
        b'{"choices":null}',
        b'{"choices":[null,{"delta":null},{"delta":{"content":5}}]}',
        b"",
    ],
)
def test_the_text_of_an_error_is_never_a_completion(event: bytes) -> None:
    assert counted(event) == 0
    assert counted(delta({"content": "Hello"}), event) == 1


def test_a_short_stream_is_not_parsed_before_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(estimate, "_parsed", refuse)
    generated = Generated()
    for _ in range(100):
        generated.add(delta({"content": " word"}))


def test_a_long_stream_is_counted_in_bounded_memory() -> None:
    generated = Generated()
    largest = 0
    for _ in range(60_000):
        generated.add(delta({"content": " word"}))
        largest = max(largest, generated._raw_size + generated._text_size)
    assert largest < estimate.RAW_LIMIT + estimate.TEXT_LIMIT + 2_000
    assert generated.tokens() == 60_000
    assert generated.tokens() == 60_000


def test_one_giant_event_is_counted() -> None:
    assert counted(delta({"content": " word" * 100_000})) == 100_000


def test_a_plain_answer_counts_like_its_stream() -> None:
    function = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    message = {
        "role": "assistant",
        "content": "Hello there",
        "reasoning": "Hm.",
        "tool_calls": [{"id": "x", "type": "function", "function": function}],
    }
    body = {"choices": [{"index": 0, "message": message}, {"index": 1, "message": message}]}
    expected = ["Hello there", "Hm.", *function.values()]
    assert from_completion(body) == 2 * sum(map(count_text, expected))


def test_an_error_body_is_no_completion() -> None:
    assert from_completion({"error": {"message": "No."}, "choices": [{"message": {"content": "No."}}]}) == 0
    assert from_completion({}) == 0


class TestOtherApis:
    def test_responses_count_like_chats_under_other_names(self) -> None:
        reported = {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 1},
        }
        assert usage.of_responses(reported) == Usage(input=6, cache_read=4, output=3, reasoning=1)

    def test_anthropic_counts_caches_outside_of_the_input(self) -> None:
        reported = {
            "input_tokens": 6,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 1,
            "output_tokens": 4,
        }
        seen = usage.of_messages(reported)
        assert seen == Usage(input=6, cache_read=3, cache_write=1, output=4)
        assert seen.prompt_tokens == 10

    @pytest.mark.parametrize(
        "nothing", [None, {}, [], {"input_tokens": 1}, {"input_tokens": -1, "output_tokens": 1}]
    )
    def test_what_says_nothing_is_no_usage(self, nothing: object) -> None:
        assert usage.of_messages(nothing) is None
        assert usage.of_responses(nothing) is None
