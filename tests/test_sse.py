"""Server-sent events, byte for byte: cut anywhere by the network, usage hidden and nothing else touched."""

import itertools
import json
import re
import time
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.sse import EventStream, data_of, hide_usage

CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":" hi"},"logprobs":null,"finish_reason":null}]%s}\n\n'
)


def fed(stream: bytes, step: int) -> tuple[list[bytes], bytes]:
    """The events and the rest of a stream that arrives `step` bytes at a time."""
    reader = EventStream()
    events = [
        event for start in range(0, len(stream), step) for event in reader.feed(stream[start : start + step])
    ]
    return events, reader.rest


# --- Splitting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1_000])
def test_events_come_whole_however_the_network_cut_them(end: bytes, step: int) -> None:
    expected = [
        end.join([b": ping", b"", b""]),
        end.join([b"event: x", b"id: 1", "data: naïve 哈 😀".encode(), b"", b""]),
        end.join([b"data: a", b"data: b", b"", b""]),
        end.join([b"data: [DONE]", b"", b""]),
    ]
    assert fed(b"".join(expected) + b"data: cut", step) == (expected, b"data: cut")


def test_an_event_is_handed_out_with_its_last_byte() -> None:
    reader = EventStream()
    assert reader.feed(b"data: a\r\n\r") == []  # the LF still belongs to it
    assert reader.feed(b"\n") == [b"data: a\r\n\r\n"]
    assert reader.feed(b"data: b\n") == []
    assert reader.feed(b"\n") == [b"data: b\n\n"]
    assert reader.feed(b"data: c\r\r") == [b"data: c\r\r"]
    assert reader.rest == b""


def test_several_events_in_one_chunk_come_apart() -> None:
    assert fed(b"data: a\n\ndata: b\n\ndata: c", 100) == ([b"data: a\n\n", b"data: b\n\n"], b"data: c")


def test_a_blank_line_too_many_is_kept() -> None:
    events, rest = fed(b"data: a\n\n\n\n\ndata: b\n\n\n", 100)
    assert b"".join(events) + rest == b"data: a\n\n\n\n\ndata: b\n\n\n"
    assert [data for event in events if (data := data_of(event)) is not None] == [b"a", b"b"]


line = st.sampled_from([b"data: a", b"data:b", b"data", b"data:  c", b": x", b"id: 1", b"", b"datum: d"])
line_end = st.sampled_from([b"\n", b"\r\n", b"\r"])


def by_the_standard(stream: bytes) -> list[bytes]:
    """The data that the WHATWG algorithm dispatches, line by line; the reference for the tests."""
    dispatched: list[bytes] = []
    buffer: list[bytes] = []
    lines = re.split(b"\r\n|\n|\r", stream)
    for text in lines[:-1]:  # what has no line end isn't a line yet
        field, _, value = text.partition(b":")
        if not text and buffer:
            dispatched.append(b"\n".join(buffer))
            buffer = []
        elif field == b"data":
            buffer.append(value[1:] if value.startswith(b" ") else value)
    return dispatched


@given(st.lists(st.tuples(line, line_end)), st.sets(st.integers(0, 60)))
def test_any_stream_cut_anywhere_is_kept_to_the_byte_and_says_what_it_says(
    lines: list[tuple[bytes, bytes]], cuts: set[int]
) -> None:
    stream = b"".join(text + end for text, end in lines)
    reader = EventStream()
    events: list[bytes] = []
    marks = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    for start, stop in itertools.pairwise(marks):
        events += reader.feed(stream[start:stop])
    assert b"".join(events) + reader.rest == stream
    said = [data for event in events if (data := data_of(event)) is not None]
    # A blank line whose CR LF is still incomplete at the end is in the rest.
    last = data_of(reader.rest) if reader.rest.endswith(b"\n\r") else None
    assert [*said, *([last] if last is not None else [])] == by_the_standard(stream)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_of_megabytes_in_small_pieces_takes_linear_time(end: bytes) -> None:
    event = b"data: " + b"x" * 8_000_000 + end + end
    began = time.process_time()
    assert fed(event, 500) == ([event], b"")
    # Joining or searching everything again with each of the 16,000 pieces would move 64 GB.
    assert time.process_time() - began < 3


# --- Data ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"data:  {}\r\n\r\n", b" {}"),
        (b"data: a\rdata: b\r\r", b"a\nb"),
        (b"event: x\ndata: a\nid: 7\ndata:\ndata: b\n\n", b"a\n\nb"),
        (b"data\n\n", b""),
        (b"data: a: b\n\n", b"a: b"),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        (b"\ndata: a\n\n", b"a"),
        (b"data: a", b"a"),
        (b": ping\n\n", None),
        (b"event: x\n\n", None),
        (b"database: x\n\n", None),
        (b"\n", None),
    ],
)
def test_data_lines_are_joined_by_the_standard(event: bytes, data: bytes | None) -> None:
    assert data_of(event) == data


# --- Hiding usage ----------------------------------------------------------------------------------------

USAGE = b'{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}'


def test_an_event_without_usage_is_handed_back_as_it_is() -> None:
    event = CHUNK % b""
    assert hide_usage(event) is event


@pytest.mark.parametrize(
    "member", [b',"usage":null', b',"usage":' + USAGE, b', "usage" : null ', b',\t"usage":\t' + USAGE]
)
@pytest.mark.parametrize("rest", [b"", b',"obfuscation":"x"', b',"z":{"usage":null},"y":[1,"}"]'])
def test_usage_is_cut_out_and_nothing_else_changes(member: bytes, rest: bytes) -> None:
    assert hide_usage(CHUNK % (member + rest)) == CHUNK % rest


@pytest.mark.parametrize(
    ("event", "hidden"),
    [
        (b'data: {"usage":null,"choices":[1]}\n\n', b'data: {"choices":[1]}\n\n'),
        (b'data: {"usage":null}\n\n', b"data: {}\n\n"),
        (b'data: {"usage":null,"a":1,"usage":{"b":2}}\n\n', b'data: {"a":1}\n\n'),
        (b'data: {"a":[1,{"usage":3}],"usage":null}\r\n\r\n', b'data: {"a":[1,{"usage":3}]}\r\n\r\n'),
        (b'data:{"a":1,"usage":null}\r\r', b'data:{"a":1}\r\r'),
        (
            b'id: 1\n: "usage":null\ndata: {"a":1,"usage":null}\n\n',
            b'id: 1\n: "usage":null\ndata: {"a":1}\n\n',
        ),
        (b'data: {"a":1,\ndata: "usage":null,\ndata: "b":2}\n\n', b'data: {"a":1,\ndata: "b":2}\n\n'),
        (b'data: {"usage":null,"model":"m","choices":[]}\n\n', b'data: {"model":"m","choices":[]}\n\n'),
    ],
)
def test_usage_is_found_wherever_it_stands(event: bytes, hidden: bytes) -> None:
    assert hide_usage(event) == hidden


@pytest.mark.parametrize(
    "text",
    [
        '"usage": null',
        ',"usage":null}',
        '\\","usage":null}',
        '{"usage":{"prompt_tokens":1}}',
        'say "usage":null, \\ and {',
    ],
)
@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": 1}}])
def test_a_model_that_talks_about_usage_is_not_cut(text: str, usage: dict[str, Any]) -> None:
    said = {"choices": [{"index": 0, "delta": {"content": text}}]}
    event = b"data: " + orjson.dumps({**said, **usage}) + b"\n\n"
    hidden = hide_usage(event)
    assert hidden is not None
    assert orjson.loads(data_of(hidden) or b"") == said


def test_usage_below_the_top_stays() -> None:
    event = b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":1}}}\n\n'
    assert hide_usage(event) == event


@pytest.mark.parametrize("choices", [b"[]", b"[ ]"])
def test_the_chunk_that_is_there_for_its_usage_disappears(choices: bytes) -> None:
    assert hide_usage(b'data: {"id":"x","choices":' + choices + b',"usage":' + USAGE + b"}\n\n") is None


def test_usage_is_cut_out_beside_half_a_surrogate_pair() -> None:
    """A provider may cut a smiley in two; JSON has it, and our parser refuses it."""
    event = rb'data: {"choices":[{"delta":{"content":"\ud83d"}}],"usage":%s}' + b"\n\n"
    assert hide_usage(event % USAGE) == rb'data: {"choices":[{"delta":{"content":"\ud83d"}}]}' + b"\n\n"


def test_usage_beside_the_last_words_leaves_the_words() -> None:
    event = b'data: {"choices":[{"delta":{"content":"x"}}],"usage":' + USAGE + b"}\n\n"
    assert hide_usage(event) == b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'


@pytest.mark.parametrize(
    "event",
    [
        b': "usage"\n\n',
        b'data: "usage"\n\n',
        b'data: ["usage",null]\n\n',
        b'data: {"usage":\n\n',
        b'data: {"usage"}\n\n',
        b'data: {"a":{"usage":null}\n\n',
        b'data: {"a":"\n\n"usage":null}\n\n',
        b'data: {"a":1 "usage":null}\n\n',
    ],
)
def test_what_is_no_json_object_is_handed_back_as_it_is(event: bytes) -> None:
    assert hide_usage(event) == event


tricky = st.sampled_from(['"usage":null', ',"usage":null}', "}", "]", "{", '"', "\\", "usage", "é", ","])
value = st.recursive(
    st.none() | st.integers() | tricky | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("usage") | tricky, inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(tricky.filter(lambda key: key != "usage"), value, max_size=4),
    st.none() | st.dictionaries(tricky, value, max_size=3),
    st.integers(0, 4),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]),
)
def test_hiding_cuts_one_slice_and_leaves_the_same_object(
    rest: dict[str, Any], usage: Any, position: int, separators: tuple[str, str]
) -> None:
    items = list(rest.items())
    items.insert(position, ("usage", usage))
    event = b"data: " + json.dumps(dict(items), separators=separators, ensure_ascii=False).encode() + b"\n\n"
    hidden = hide_usage(event)
    assert hidden is not None
    assert json.loads(data_of(hidden) or b"") == rest
    cut = len(event) - len(hidden)
    assert any(event[:at] + event[at + cut :] == hidden for at in range(len(hidden) + 1))
