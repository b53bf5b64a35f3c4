"""Counting tokens: exact for text, never below the truth where it bounds, and never slow."""

import gzip
import socket
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import tiktoken_ext.openai_public as openai_public
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import tokens

# OpenAI Cookbook, "How to count tokens with tiktoken": 124 prompt tokens, as counted by the API for gpt-4o.
COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into "
        "plain English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for "
        "increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]


# --- The encoding ----------------------------------------------------------------------------------------


def test_the_encoding_is_the_one_that_tiktoken_would_download(monkeypatch: pytest.MonkeyPatch) -> None:
    expected: list[str] = []

    def downloaded(url: str, expected_hash: str) -> dict[bytes, int]:
        expected.append(expected_hash)
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", downloaded)
    assert openai_public.o200k_base()["pat_str"] == tokens.PATTERN
    assert expected == [tokens.CHECKSUM]


def test_loading_touches_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    tokens._load.cache_clear()
    tokens.warm()
    assert tokens.count_text("hello world") == 2


def test_threads_that_come_while_it_loads_share_one_load(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []
    decompress = gzip.decompress

    def counted(data: bytes) -> bytes:
        loads.append(1)
        return decompress(data)

    monkeypatch.setattr(tokens.gzip, "decompress", counted)
    tokens._load.cache_clear()
    threads = [threading.Thread(target=tokens.warm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_a_damaged_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    damaged = tmp_path / "o200k_base.tiktoken.gz"
    damaged.write_bytes(gzip.compress(gzip.decompress(tokens.FILE.read_bytes())[:-2]))
    monkeypatch.setattr(tokens, "FILE", damaged)
    with pytest.raises(tokens.DamagedEncoding, match="damaged"):
        tokens._load.__wrapped__()


# --- Texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("hello world", 2),
        ("antidisestablishmentarianism", 6),  # the Cookbook's comparison of encodings
        ("2 + 2 = 4", 7),
    ],
)
def test_known_texts_have_their_known_counts(text: str, count: int) -> None:
    assert tokens.count_text(text) == count


def test_the_text_of_a_special_token_is_ordinary_text() -> None:
    assert tokens.count_text("<|endoftext|>") > 1


def test_a_lone_surrogate_counts_as_the_replacement_character() -> None:
    assert tokens.count_text("a\ud800b") == tokens.count_text("a\ufffdb")
    assert tokens.count_text("\ud83d\ude00") == tokens.count_text("😀")


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox isn't here, it's gone:  12345 reasons.\n\n  def f(x):\n      return x\n" * 200,
        "Größe naïve café, 東京 と 京都 、 emoji 😀 and\ttabs\u00a0too. " * 300,
        '{"name": "value", "list": [1, 2, 3], "nested": {"a": null}} ' * 300,
    ],
)
def test_a_long_text_with_words_is_counted_exactly(text: str) -> None:
    assert len(text) > 3 * tokens.WINDOW
    assert tokens.count_text(text) == len(tokens._load().encode_ordinary(text))


def test_a_long_run_is_over_counted_by_a_token_a_window_at_the_most() -> None:
    text = "a" * 100_001
    exact = len(tokens._load().encode_ordinary(text))
    assert exact <= tokens.count_text(text) <= exact + len(text) // tokens.WINDOW + 1


@given(st.text(alphabet=" a\n!哈", min_size=0, max_size=400), st.integers(2, 40))
def test_work_is_bounded_whatever_the_text(text: str, window: int) -> None:
    """tiktoken sees each character once, never more than a window at a time, in a linear number of calls."""
    seen: list[str] = []

    def encode(part: str) -> list[int]:
        seen.append(part)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "WINDOW", window)
        patch.setattr(tokens, "_encoding", lambda: SimpleNamespace(encode_ordinary=encode))
        tokens.count_text(text)
    assert "".join(seen) == text
    assert all(len(part) <= window for part in seen)
    assert len(seen) <= 2 * len(text) // window + 2


@pytest.mark.timeout(60)
@pytest.mark.parametrize("run", [" ", "a", "\n", "\u0301", "哈", " \n"])
def test_a_megabyte_run_neither_panics_nor_stalls(run: str) -> None:
    # Unguarded, a million spaces make tiktoken's regex engine panic, and older versions take minutes.
    assert 0 < tokens.count_text(run * (1_200_000 // len(run))) <= 1_200_000


# --- Chat requests ---------------------------------------------------------------------------------------


def test_a_prompt_counts_as_openai_counts_it() -> None:
    assert tokens.count_prompt({"messages": COOKBOOK}) == 124


def test_text_in_parts_counts_like_the_same_text() -> None:
    plain = {"messages": [{"role": "user", "content": "Good morning"}]}
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Good morning"}]}]}
    assert tokens.count_prompt(parts) == tokens.count_prompt(plain)


def test_an_image_counts_at_its_bound_whatever_its_bytes() -> None:
    def body(url: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}

    small, large = body("https://images.test/a.png"), body("data:image/png;base64," + "A" * 1_000_000)
    assert tokens.count_prompt(small) == tokens.count_prompt(large)
    assert tokens.upper_bound(large) < 2 * tokens.IMAGE_TOKENS_BOUND
    assert tokens.count_prompt(small) >= tokens.IMAGE_TOKENS_BOUND


def test_sound_counts_by_its_length_and_a_file_never_less_than_an_image() -> None:
    def count(part: dict[str, Any]) -> int:
        return tokens.count_prompt({"messages": [{"role": "user", "content": [part]}]})

    sound = {"type": "input_audio", "input_audio": {"data": "A" * 32_000, "format": "wav"}}
    assert 1_000 <= count(sound) < 1_100
    assert count({"type": "file", "file": {"file_id": "file-1"}}) > tokens.IMAGE_TOKENS_BOUND
    assert count({"type": "file", "file": {"file_data": "A" * 100_000}}) > 100_000


@pytest.mark.parametrize("field", ["tools", "functions", "response_format"])
def test_schemas_are_part_of_the_prompt(field: str) -> None:
    words = "a description with many words in it " * 50
    body = {"messages": COOKBOOK, field: [{"type": "function", "function": {"description": words}}]}
    assert tokens.count_prompt(body) > 124 + tokens.count_text(words)


def test_the_tool_calls_of_earlier_turns_are_part_of_the_prompt() -> None:
    arguments = '{"city": "' + "Llanfairpwllgwyngyll " * 50 + '"}'
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}
    assert tokens.count_prompt(body) > tokens.count_text(arguments)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": "hello"},
        {"messages": [None, 5, "text", []]},
        {"messages": [{"content": [None, 5, {"type": "text"}, {"type": "text", "text": 5}, {}]}]},
        {"messages": [{"tool_calls": [None, {}, {"function": None}, {"function": {"arguments": {"a": 1}}}]}]},
        {"messages": [{"content": "\ud800"}], "tools": ["\udfff"]},
        {"messages": [], "tools": {"big": 2**70}},
    ],
)
def test_nonsense_is_counted_not_raised(body: dict[str, Any]) -> None:
    assert tokens.upper_bound(body) >= tokens.count_prompt(body) >= tokens.PRIMING


def test_deeply_nested_schemas_are_counted_not_raised() -> None:
    schema: Any = "leaf"
    for _ in range(5_000):
        schema = {"a": [schema]}
    assert tokens.upper_bound({"tools": schema}) >= tokens.count_prompt({"tools": schema}) > 5_000


# --- The bound -------------------------------------------------------------------------------------------

any_text = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=40),  # lone surrogates are among them
    st.text(alphabet="<|endoftext|> \n\r\t'sé哈😀\u0301", max_size=60),
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
any_part = any_json | st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "input_audio", "file", "video_url", "refusal", "new"])},
    optional={"text": any_json, "input_audio": any_json, "file": any_json},
)
any_call = any_json | st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": any_text, "arguments": any_json})}
)
any_message = any_json | st.fixed_dictionaries(
    {"role": any_text},
    optional={
        "content": any_text | st.lists(any_part, max_size=4),
        "name": any_json,
        "tool_calls": st.lists(any_call, max_size=3) | any_json,
        "reasoning_content": any_json,
    },
)
any_body = st.fixed_dictionaries(
    {"messages": st.lists(any_message, max_size=5) | any_json},
    optional={"tools": any_json, "functions": any_json, "response_format": any_json},
)


@settings(max_examples=400, deadline=None)
@given(any_body)
def test_the_bound_is_never_below_the_count(body: dict[str, Any]) -> None:
    assert tokens.upper_bound(body) >= tokens.count_prompt(body)


# --- Prompts of other APIs -------------------------------------------------------------------------------


@given(any_json)
def test_the_bound_of_any_input_is_never_below_its_count(value: Any) -> None:
    assert tokens.input_bound(value) >= tokens.count_input(value)


def test_numbers_in_an_input_are_tokens_that_the_client_made() -> None:
    assert tokens.count_input([[1, 2, 3], [4]]) == 4


@pytest.mark.parametrize("kind", ["image", "image_url", "input_image", "input_file", "document"])
def test_media_count_at_their_bound_whatever_their_bytes(kind: str) -> None:
    part = {"type": kind, "source": {"data": "A" * 1_000}}
    assert tokens.count_input([{"role": "user", "content": [part]}]) >= tokens.IMAGE_TOKENS_BOUND


def test_images_are_found_in_any_api_and_a_schema_is_none() -> None:
    chat = {"messages": [{"content": [{"type": "image_url"}, {"type": "text", "text": "image"}]}]}
    schema = {"tools": [{"parameters": {"properties": {"type": {"type": "string", "enum": ["image"]}}}}]}
    assert (tokens.count_images(chat), tokens.count_images(schema)) == (1, 0)
