"""From what a provider reports to the charge: whatever its convention, and streamed or not."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from config.money import NANO
from paywalls.pricing import Price, Tier
from proxy.meter import Charge, Meter
from proxy.snapshot import ModelSnapshot, ProviderSnapshot
from proxy.surfaces import SURFACES

# 3, 15, 0.3 and 3.75 nano-dollars a thousandth of a token: easy to add up for thousands of tokens.
PRICE = Price(
    prompt=3 * NANO,
    completion=15 * NANO,
    cache_read=300_000_000,
    cache_write=3_750_000_000,
    request=1_000_000,
    tiers=(Tier(6 * NANO, 30 * NANO, 600_000_000, 7_500_000_000, above=200_000),),
)
COST = Price(prompt=1 * NANO, completion=2 * NANO, cache_read=100_000_000, image=5)
MODEL = ModelSnapshot(
    model_id="fake/model",
    upstream_model="up",
    provider=ProviderSnapshot("up", "https://up.test/v1", "", ("chat", "messages", "responses")),
    price=PRICE,
    cost=COST,
    max_output_tokens=4_096,
    display_name="Model",
    description="",
    created=1,
)
MESSAGES = [{"role": "user", "content": "Hello"}]
REQUESTS: dict[str, dict[str, Any]] = {
    "chat": {"messages": MESSAGES},
    "messages": {"messages": MESSAGES, "max_tokens": 100},
    "responses": {"input": "Hello"},
}

# The same request, as three APIs tell it: 2,000 tokens read, 1,000 from the cache, 500 written to it, 400 generated.
OPENAI = {
    "prompt_tokens": 3_500,
    "completion_tokens": 400,
    "prompt_tokens_details": {"cached_tokens": 1_000, "cache_write_tokens": 500},
    "completion_tokens_details": {"reasoning_tokens": 100},
}
RESPONSES = {
    "input_tokens": 3_500,
    "output_tokens": 400,
    "input_tokens_details": OPENAI["prompt_tokens_details"],
}
ANTHROPIC = {
    "input_tokens": 2_000,
    "cache_read_input_tokens": 1_000,
    "cache_creation_input_tokens": 500,
    "output_tokens": 400,
}
REPORTS = {"chat": OPENAI, "messages": ANTHROPIC, "responses": RESPONSES}
# 2,000 x 3 + 1,000 x 0.3 + 500 x 3.75 + 400 x 15 micro-dollars, and the fee.
DUE = 6_000_000 + 300_000 + 1_875_000 + 6_000_000 + 1_000_000


def event(data: dict[str, Any]) -> bytes:
    kind = f"event: {data['type']}\n" if "type" in data else ""
    return f"{kind}data: {json.dumps(data)}\n\n".encode()


def streamed(name: str, usage: dict[str, Any]) -> list[bytes]:
    """The events of a stream that report this usage."""
    match name:
        case "messages":
            first = {**usage, "output_tokens": 1}
            return [
                event({"type": "message_start", "message": {"usage": first}}),
                event(
                    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": usage["output_tokens"]}}
                ),
            ]
        case "responses":
            return [event({"type": "response.completed", "response": {"usage": usage}})]
        case _:
            return [event({"choices": [], "usage": None}), event({"choices": [], "usage": usage})]


def metered(
    name: str, usage: dict[str, Any], *, stream: bool, model: ModelSnapshot = MODEL, **body: Any
) -> Charge:
    surface = next(surface for surface in SURFACES.values() if surface.name == name)
    raw = json.dumps({"model": "fake/model", "stream": stream, **REQUESTS[name], **body}).encode()
    meter = Meter(surface.parse(raw), model)
    if stream:
        reader = meter.read_stream()
        for one in streamed(name, usage):
            reader.see(one)
    else:
        meter.see_answer({"usage": usage})
    return asyncio.run(meter.charge(10**15))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", REPORTS)
def test_a_request_costs_the_same_by_every_convention(name: str, stream: bool) -> None:
    charge = metered(name, REPORTS[name], stream=stream)
    assert charge.amount == DUE
    kept = charge.metadata["price"]
    buckets = (
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "completion_tokens",
        "prompt_tokens",
    )
    assert [kept[bucket] for bucket in buckets] == [2_000, 1_000, 500, 400, 3_500]
    assert (kept["total"], charge.metadata["estimated"]) == (DUE, False)
    # A cache write has no cost of its own, so that it costs as the prompt: 2,500 x 1 + 1,000 x 0.1 + 400 x 2.
    assert charge.metadata["provider_cost"] == 2_500_000 + 100_000 + 800_000


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("name", "usage"),
    [
        (
            "chat",
            {
                "prompt_tokens": 200_001,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 200_000},
            },
        ),
        ("messages", {"input_tokens": 1, "cache_read_input_tokens": 200_000, "output_tokens": 1}),
        (
            "responses",
            {"input_tokens": 200_001, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 200_000}},
        ),
    ],
)
def test_cached_tokens_count_for_the_size_of_the_prompt(
    name: str, usage: dict[str, Any], stream: bool
) -> None:
    charge = metered(name, usage, stream=stream)
    assert charge.metadata["price"]["tier_above"] == 200_000
    assert charge.amount == 6_000 + 200_000 * 600 + 30_000 + 1_000_000


def test_images_cost_by_the_piece_where_anybody_counts_them() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    told = [{"role": "user", "content": [{"type": "text", "text": "Hi"}, image, image]}]
    used = {"prompt_tokens": 0, "completion_tokens": 0}
    charge = metered("chat", used, stream=False, messages=told)
    assert (charge.amount, charge.metadata["provider_cost"]) == (1_000_000, 10)
    dear = replace(MODEL, price=replace(PRICE, image=7), cost=None)
    charge = metered("chat", used, stream=False, model=dear, messages=told)
    assert (charge.amount, charge.metadata["price"]["images"]) == (1_000_014, 2)


def test_an_unknown_cost_is_unknown_on_the_ledger_row() -> None:
    charge = metered("chat", OPENAI, stream=False, model=replace(MODEL, cost=None))
    assert charge.metadata["provider_cost"] is None
    assert json.loads(json.dumps(charge.metadata)) == charge.metadata
