"""Several events of a chunk are read at once; that must show and remember what reading them one by one does."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import marker
from proxy.sse import EventStream
from proxy.surfaces import SURFACES, StreamReader

CHAT = SURFACES["/chat/completions"]
DONE = b"data: [DONE]\n\n"
WORD = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]%s}\n\n'
EVENTS = st.sampled_from(
    [
        WORD % (b" hi", b""),
        WORD % (b" hi", b',"usage":null'),
        WORD % (b" hi", b',"usage":null,"service_tier":"default","obfuscation":"x"'),
        WORD % (rb"a \"usage\":null} b", b',"usage":null'),
        WORD % (rb" [DONE] and \"error\"", b',"usage":null'),
        WORD % (rb"data: {\n\n", b',"usage":null'),
        WORD % (b" hi", b',"usage":null,"paywall":{"case":"ok"}'),
        WORD % (b" hi", rb',"usage":null,"\u0070aywall":1'),
        WORD % (b" hi", b',"deep":{"a":1,"usage":null}'),
        WORD % (b" hi", b',"usage":{"prompt_tokens":9,"completion_tokens":4}'),
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}\n\n',
        b'data: {"error":{"message":"overloaded"}}\n\n',
        b": ping\n\n",
        b"event: x\ndata: {}\n\n",
        b"data: {}\r\n\r\n",
        b"data:{}\n\n",
        b"data: a\ndata: b\n\n",
        b"data: \n\n",
        b"\n",
        "data: naïve 哈\n\n".encode(),
    ]
)


def relayed(chunks: list[bytes], reader: StreamReader, *, skims: bool) -> tuple[bytes, bytes, int]:
    """What a client is shown of the chunks, what is left over, and how many events came."""
    events, shown, count = EventStream(), [], 0
    for chunk in chunks:
        skimmed, plain, rest = reader.skim(chunk) if skims and events.is_between else (0, b"", chunk)
        came = events.feed(rest)
        shown += [plain, *(marker.removed_from(reader.see(event)) for event in came)]
        count += skimmed + len(came)
    return b"".join(shown), events.rest, count


def reader(*, wants_usage: bool) -> StreamReader:
    asked = {"model": "m", "messages": [{"role": "user", "content": "?"}], "stream": True}
    if wants_usage:
        asked["stream_options"] = {"include_usage": True}
    return CHAT.reader(CHAT.parse(orjson.dumps(asked)))


def remembered(read: StreamReader) -> tuple[Any, ...]:
    return read.usage, read.finished, read.failed, read.output_tokens()


# The first one loads the tokenizer.
@settings(deadline=None)
@given(
    events=st.lists(EVENTS, max_size=12),
    cuts=st.lists(st.integers(0, 2_000), max_size=6),
    wants=st.booleans(),
)
def test_events_read_at_once_are_what_they_are_one_by_one(
    events: list[bytes], cuts: list[int], wants: bool
) -> None:
    stream = b"".join(events) + DONE
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    chunks = [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    at_once, one_by_one = reader(wants_usage=wants), reader(wants_usage=wants)
    assert relayed(chunks, at_once, skims=True) == relayed(chunks, one_by_one, skims=False)
    assert remembered(at_once) == remembered(one_by_one)


@pytest.mark.parametrize("wants", [True, False])
def test_words_are_skimmed_up_to_the_first_event_that_says_more(wants: bool) -> None:
    words = WORD % (b" hi", b',"usage":null') * 3
    report = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}\n\n'
    shown = words if wants else WORD % (b" hi", b"") * 3
    assert reader(wants_usage=wants).skim(words + report + DONE) == (3, shown, report + DONE)


def test_nothing_is_skimmed_that_needs_a_closer_look() -> None:
    for text in (
        DONE,
        b": ping\n\n",
        b"data: {}\r\n\r\n",
        b'data: {"half',
        WORD % (b"", b',"x":{"usage":null}'),
    ):
        assert reader(wants_usage=False).skim(text) == (0, b"", text)
