"""OpenAI's official client."""

import json

import openai
from scenarios import BROKE_KEY, CALL, DESCRIPTION, KEY, MODEL, PARAMETERS, SAID, URL, USER, WEATHER, report

TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS},
}

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY)
broke = openai.OpenAI(base_url=f"{URL}/v1", api_key=BROKE_KEY)
chat = {"model": MODEL, "user": USER, "messages": [{"role": "user", "content": SAID}]}


def plain(client=client):
    return {"text": client.chat.completions.create(**chat).choices[0].message.content}


def streamed(client=client):
    with client.chat.completions.stream(**chat) as stream:
        return {"parts": [event.delta for event in stream if event.type == "content.delta"]}


def called(complete):
    """A whole round: the model calls the tool, is told its result, and answers."""
    asked = {**chat, "tools": [TOOL], "messages": [{"role": "user", "content": CALL}]}
    message = complete(**asked).choices[0].message
    [call] = message.tool_calls
    asked["messages"] += [message, {"role": "tool", "tool_call_id": call.id, "content": WEATHER}]
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "text": complete(**asked).choices[0].message.content,
    }


def completed_stream(**asked):
    with client.chat.completions.stream(**asked) as stream:
        return stream.get_final_completion()


report(
    plain=plain,
    streamed=streamed,
    tool=lambda: called(client.chat.completions.create),
    tool_streamed=lambda: called(completed_stream),
    top_up=lambda: plain(broke),
    top_up_streamed=lambda: streamed(broke),
)
