"""The built-in provider: what a developer tests against, in OpenAI's own shapes."""

import asyncio
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy import sandbox
from proxy.response import AnswerTooLong, UpstreamDied, UpstreamResponse
from proxy.sandbox.reply import PREFACE, TOOL_PREFACE
from proxy.sse import EventStream, data_of
from proxy.tokens import count_prompt, count_text

TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


def request(said: Any = "hello big world", model: str = "echo", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": said}], **fields}


def opened(body: dict[str, Any]) -> UpstreamResponse:
    return asyncio.run(sandbox.open_stream(body))


def plain(body: dict[str, Any]) -> ChatCompletion:
    async def ask() -> bytes:
        return await (await sandbox.open_stream(body)).read(1_000_000)

    return ChatCompletion.model_validate_json(asyncio.run(ask()))


def events_of(body: dict[str, Any]) -> tuple[list[bytes], bool]:
    """The data of each event, and whether the stream came to its end."""

    async def listen() -> tuple[list[bytes], bool]:
        answer, reader, events = await sandbox.open_stream({**body, "stream": True}), EventStream(), []
        try:
            async for chunk in answer.chunks:
                events += reader.feed(chunk)
        except UpstreamDied:
            return events, False
        assert reader.rest == b""
        return events, True

    events, ended = asyncio.run(listen())
    return [data_of(event) or b"" for event in events], ended


def streamed(body: dict[str, Any]) -> list[ChatCompletionChunk]:
    *events, last = events_of(body)[0]
    assert last == b"[DONE]"
    return [ChatCompletionChunk.model_validate_json(event) for event in events]


def text_of(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)


# --- echo ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("hello big world", "hello big world"),
        ("  two\n\nlines  and 哈 😀 ", "  two\n\nlines  and 哈 😀 "),
        ([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}], "in parts"),
        ("", ""),
        ("half \ud83d a pair", "half ? a pair"),
    ],
)
def test_echo_repeats_the_last_user_message(said: Any, heard: str) -> None:
    body = request(said)
    body["messages"][:0] = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "hm"}]
    assert plain(body).choices[0].message.content == PREFACE + heard
    assert text_of(streamed(body)) == PREFACE + heard


def test_a_stream_opens_with_the_role_goes_word_by_word_and_closes_with_the_reason() -> None:
    first, *words, last = streamed(request())
    assert first.choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in words] == [
        "You",
        " said:",
        " hello",
        " big",
        " world",
    ]
    assert (last.choices[0].finish_reason, last.choices[0].delta.content) == ("stop", None)
    assert {chunk.id for chunk in [first, *words, last]} == {first.id}


def test_usage_comes_last_for_those_who_ask() -> None:
    body = request()
    *chunks, last = streamed({**body, "stream_options": {"include_usage": True}})
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage
    assert last.usage.prompt_tokens == count_prompt(body)
    assert last.usage.completion_tokens == count_text(text_of(chunks))
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert last.usage.prompt_tokens_details
    assert last.usage.prompt_tokens_details.cached_tokens == 0
    assert not any(b"usage" in event for event in events_of(body)[0])


def test_a_plain_answer_uses_what_its_stream_uses() -> None:
    body = request(n=2, max_tokens=4)
    usage = streamed({**body, "stream_options": {"include_usage": True}})[-1].usage
    assert plain(body).usage == usage


@pytest.mark.parametrize("limit", range(1, 14))
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_token_limit_is_obeyed(limit: int, field: str) -> None:
    whole = PREFACE + "antidisestablishmentarianism, 哈哈!\nBye"
    body = request(whole.removeprefix(PREFACE), **{field: limit})
    answer = plain(body)
    text = answer.choices[0].message.content or ""
    assert whole.startswith(text)
    assert answer.usage
    assert answer.usage.completion_tokens == count_text(text) <= limit
    # A token that would be cut inside of a character is left out.
    assert answer.usage.completion_tokens >= min(limit, count_text(whole)) - 1
    assert answer.choices[0].finish_reason == ("stop" if text == whole else "length")
    assert text_of(streamed(body)) == text


def test_choices_are_told_apart_and_each_is_counted() -> None:
    body = request(n=3)
    chunks = streamed(body)
    assert [text_of(chunks, index) for index in range(3)] == [PREFACE + "hello big world"] * 3
    answer, single = plain(body), plain(request())
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage
    assert single.usage
    assert answer.usage.completion_tokens == 3 * single.usage.completion_tokens
    assert answer.usage.prompt_tokens == single.usage.prompt_tokens


# --- Tools -----------------------------------------------------------------------------------------------


def test_a_call_that_is_asked_for_is_made() -> None:
    body = request('call get_weather {"city": "Paris"}', tools=TOOLS)
    choice = plain(body).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls
    [call] = choice.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Paris"}')
    deltas = [chunk.choices[0].delta for chunk in streamed(body)]
    functions = [call.function for delta in deltas for call in delta.tool_calls or [] if call.function]
    assert functions[0].name == "get_weather"
    assert "".join(function.arguments or "" for function in functions) == '{"city": "Paris"}'


@pytest.mark.parametrize("result", ["21 degrees", [{"type": "text", "text": "21 degrees"}]])
def test_a_tools_result_is_told_in_words_so_that_an_agent_comes_to_an_end(result: Any) -> None:
    body = request('call get_weather {"city": "Paris"}', tools=TOOLS)
    [call] = plain(body).choices[0].message.tool_calls or []
    body["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": result},
    ]
    choice = plain(body).choices[0]
    assert (choice.message.content, choice.finish_reason) == (TOOL_PREFACE + "21 degrees", "stop")
    assert text_of(streamed(body)) == TOOL_PREFACE + "21 degrees"


def test_a_tool_that_is_forced_is_called() -> None:
    forced = {"type": "function", "function": {"name": "get_weather"}}
    choice = plain(request(tools=TOOLS, tool_choice=forced)).choices[0]
    assert choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    "body",
    [
        request("call get_weather {}"),
        request("call get_weather {}", tools=TOOLS, tool_choice="none"),
        request("call another {}", tools=TOOLS),
        request("call me", tools=TOOLS),
    ],
)
def test_no_tool_is_called_that_was_not_offered(body: dict[str, Any]) -> None:
    choice = plain(body).choices[0]
    assert choice.message.content
    assert choice.message.tool_calls is None


def test_a_tool_call_obeys_the_token_limit() -> None:
    answer = plain(request('call get_weather {"city": "Paris"}', tools=TOOLS, max_tokens=1))
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage
    assert answer.usage.completion_tokens <= 1


# --- The other models ------------------------------------------------------------------------------------


def test_slow_waits_before_each_word(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(sandbox.asyncio, "sleep", noted)
    assert text_of(streamed(request(model="slow"))) == PREFACE + "hello big world"
    assert waits == [sandbox.SLOW_SECONDS] * 5
    waits.clear()
    plain(request(model="slow"))
    assert waits == [pytest.approx(5 * sandbox.SLOW_SECONDS)]


@pytest.mark.parametrize("stream", [True, False])
def test_error_fails_before_the_first_byte(stream: bool) -> None:
    answer = opened(request(model="error", stream=stream))
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/json"
    assert orjson.loads(asyncio.run(answer.read(10_000)))["error"]["type"] == "server_error"


def test_an_unknown_model_is_not_found() -> None:
    answer = opened(request(model="gpt-9"))
    assert answer.status == 404
    error = orjson.loads(asyncio.run(answer.read(10_000)))["error"]
    assert error["code"] == "model_not_found"
    assert "echo" in error["message"]


def test_breaks_dies_after_a_few_words_without_an_end() -> None:
    events, ended = events_of(request(model="breaks", stream_options={"include_usage": True}))
    assert not ended
    chunks = [ChatCompletionChunk.model_validate_json(event) for event in events]
    assert text_of(chunks) == "You said: hello"
    assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)


def test_breaks_dies_inside_of_a_plain_answer() -> None:
    async def read() -> None:
        await (await sandbox.open_stream(request(model="breaks"))).read(1_000_000)

    with pytest.raises(UpstreamDied):
        asyncio.run(read())


def test_no_usage_never_reports_usage() -> None:
    body = request(model="no-usage")
    assert plain(body).usage is None
    assert all(chunk.usage is None for chunk in streamed({**body, "stream_options": {"include_usage": True}}))


# --- The answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stream", "kind"), [(True, "text/event-stream"), (False, "application/json")])
def test_headers_are_those_of_a_provider(stream: bool, kind: str) -> None:
    answer = opened(request(stream=stream))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["x-request-id"].startswith("req_")
    assert "x-ratelimit-remaining-requests" in answer.headers


def test_a_long_answer_lets_others_have_their_turn() -> None:
    async def listen() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        answer = await sandbox.open_stream(request("word " * 1_000, stream=True))
        task = asyncio.create_task(other())
        async for _ in answer.chunks:
            pass
        task.cancel()
        return turns

    assert asyncio.run(listen()) > 500


def test_an_answer_past_the_limit_is_refused() -> None:
    async def read(limit: int) -> bytes:
        return await (await sandbox.open_stream(request())).read(limit)

    with pytest.raises(AnswerTooLong):
        asyncio.run(read(100))
    size = len(asyncio.run(read(10_000)))
    assert len(asyncio.run(read(size))) == size


@pytest.mark.parametrize("read_some", [True, False])
def test_closing_gives_back_the_connection_read_or_not(read_some: bool) -> None:
    closed: list[int] = []

    async def chunks() -> Any:
        yield b"a"
        yield b"b"

    async def leave() -> None:
        answer = UpstreamResponse(200, {}, chunks(), close=lambda: closed.append(1))
        if read_some:
            await anext(aiter(answer.chunks))
        await answer.aclose()
        assert [chunk async for chunk in answer.chunks] == []

    asyncio.run(leave())
    assert closed == [1]
