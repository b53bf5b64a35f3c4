"""LangChain's ChatOpenAI."""

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from scenarios import BROKE_KEY, CALL, KEY, MODEL, SAID, URL, USER, WEATHER, report


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return WEATHER


def model(key):
    return ChatOpenAI(base_url=f"{URL}/v1", api_key=key, model=MODEL, model_kwargs={"user": USER})


client, broke = model(KEY), model(BROKE_KEY)


def plain(client=client):
    return {"text": client.invoke(SAID).content}


def streamed(client=client):
    return {"parts": [chunk.content for chunk in client.stream(SAID) if chunk.content]}


def called(complete):
    """A whole round: the model calls the tool, is told its result, and answers."""
    messages = [HumanMessage(CALL)]
    message = complete(messages)
    [call] = message.tool_calls
    messages += [message, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    return {"name": call["name"], "arguments": call["args"], "text": complete(messages).content}


def completed_stream(messages):
    first, *rest = with_tools.stream(messages)
    return sum(rest, first)


with_tools = client.bind_tools([get_weather])
report(
    plain=plain,
    streamed=streamed,
    tool=lambda: called(with_tools.invoke),
    tool_streamed=lambda: called(completed_stream),
    top_up=lambda: plain(broke),
    top_up_streamed=lambda: streamed(broke),
)
