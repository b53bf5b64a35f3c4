"""An agent of Google's ADK, whose model is behind LiteLLM."""

import asyncio

from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from scenarios import BROKE_KEY, CALL, KEY, MODEL, SAID, URL, USER, WEATHER, report

calls = []


def get_weather(city: str) -> str:
    """The weather in a city."""
    calls.append({"city": city})
    return WEATHER


async def conversation(said, key, mode, tools):
    """The texts that the agent tells, whole or in parts."""
    # LiteLLM leaves `user` out for models that it doesn't know.
    named = {"X-Paywall-User": USER}
    model = LiteLlm(model=f"openai/{MODEL}", api_base=f"{URL}/v1", api_key=key, extra_headers=named)
    agent = LlmAgent(name="concierge", model=model, tools=tools)
    runner = InMemoryRunner(agent=agent, app_name="clients")
    session = await runner.session_service.create_session(app_name="clients", user_id=USER)
    message = types.Content(role="user", parts=[types.Part(text=said)])
    told = []
    async for event in runner.run_async(
        user_id=USER, session_id=session.id, new_message=message, run_config=RunConfig(streaming_mode=mode)
    ):
        # A streaming agent repeats the whole text at its end; some events only say that it is done.
        if event.content and bool(event.partial) == (mode is StreamingMode.SSE):
            told += [part.text for part in event.content.parts if part.text]
    await runner.close()
    return told


def ask(said, *, key=KEY, mode=StreamingMode.NONE, tools=()):
    return asyncio.run(conversation(said, key, mode, list(tools)))


def plain(key=KEY):
    return {"text": "".join(ask(SAID, key=key))}


def streamed(key=KEY):
    return {"parts": ask(SAID, key=key, mode=StreamingMode.SSE)}


def tool(mode):
    """The agent itself makes the round: the model calls the tool, is told its result, and answers."""
    calls.clear()
    text = "".join(ask(CALL, mode=mode, tools=[get_weather]))
    [arguments] = calls
    return {"name": "get_weather", "arguments": arguments, "text": text}


report(
    plain=plain,
    streamed=streamed,
    tool=lambda: tool(StreamingMode.NONE),
    tool_streamed=lambda: tool(StreamingMode.SSE),
    top_up=lambda: plain(BROKE_KEY),
    top_up_streamed=lambda: streamed(BROKE_KEY),
)
