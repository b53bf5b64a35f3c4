"""Anthropic's official client, on `/v1/messages`."""

import anthropic
from scenarios import BROKE_KEY, CALL, DESCRIPTION, KEY, MODEL, PARAMETERS, SAID, URL, USER, WEATHER, report

TOOL = {"name": "get_weather", "description": DESCRIPTION, "input_schema": PARAMETERS}

client = anthropic.Anthropic(base_url=URL, api_key=KEY)
broke = anthropic.Anthropic(base_url=URL, api_key=BROKE_KEY)
asked = {"model": MODEL, "max_tokens": 100, "metadata": {"user_id": USER}}
hello = {**asked, "messages": [{"role": "user", "content": SAID}]}


def plain(client=client):
    return {"text": client.messages.create(**hello).content[0].text}


def streamed(client=client):
    with client.messages.stream(**hello) as stream:
        return {"parts": list(stream.text_stream)}


def called(complete):
    """A whole round: the model calls the tool, is told its result, and answers."""
    messages = [{"role": "user", "content": CALL}]
    message = complete(**asked, tools=[TOOL], messages=messages)
    [call] = [block for block in message.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": WEATHER}
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    text = complete(**asked, tools=[TOOL], messages=messages).content[0].text
    return {"name": call.name, "arguments": call.input, "text": text}


def completed_stream(**asked):
    with client.messages.stream(**asked) as stream:
        return stream.get_final_message()


report(
    plain=plain,
    streamed=streamed,
    tool=lambda: called(client.messages.create),
    tool_streamed=lambda: called(completed_stream),
    top_up=lambda: plain(broke),
    top_up_streamed=lambda: streamed(broke),
)
