"""Prices from the file to the ledger, through a running gateway."""

import base64

import httpx
import pytest

from tests.fake_upstream import DONE, HELLO, FakeUpstream, chunk, completion
from tests.installation import Installation
from tests.story import assert_books_sum, balance, charges, deposit, document

pytestmark = pytest.mark.server

MESSAGES = [{"role": "user", "content": "Hello"}]
# 1,000, 2,000, 100 and 1,500 nano-dollars a token; twice that above 5,000.
PRICING = {
    "prompt": "1",
    "completion": "2",
    "cache_read": "0.1",
    "cache_write": "1.5",
    "image": "0.001",
    "tiers": [
        {"above": 5_000, "prompt": "2", "completion": "4", "cache_read": "0.2", "cache_write": "3"},
    ],
}
COST = {"prompt": "0.5", "completion": "1.5", "cache_read": "0.05"}
CACHED = {
    "prompt_tokens": 1_000,
    "completion_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
}
# 100 read plainly, 600 from the cache, 300 written to it, 10 generated.
DUE = 100 * 1_000 + 600 * 100 + 300 * 1_500 + 10 * 2_000
PIXEL = base64.b64encode(b"no picture at all").decode()


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as upstream:
        shop = document(upstream, trial="0", markup="0", pricing=PRICING, cost=COST, max_output_tokens=100)
        sandbox, *_ = shop["paywalls"][0]["models"]
        cache = {"prompt": "0.000001", "completion": "0", "cache_write": "1000"}
        gift = {"prompt": "0", "completion": "0"}
        shop["paywalls"][0]["models"] += [
            {**sandbox, "id": "sandbox/dear-cache", "pricing": cache},
            {**sandbox, "id": "sandbox/gift", "pricing": gift, "free": True},
        ]
        with Installation.running(shop) as site:
            deposit(site, "5")
            yield site, upstream
            assert_books_sum(site)


@pytest.fixture
def site(running):
    return running[0]


@pytest.fixture
def upstream(running):
    return running[1]


def ask(site, *, model="fake/model", messages=MESSAGES, stream=False, user="alice"):
    answer = site.client().chat.completions.create(model=model, user=user, messages=messages, stream=stream)
    return list(answer) if stream else answer


def test_a_stream_and_a_plain_call_cost_the_same_and_the_row_says_why(site, upstream):
    before = balance(site)
    upstream.answers(completion(usage=CACHED))
    ask(site)
    upstream.streams(*HELLO, chunk(usage=CACHED), DONE)
    ask(site, stream=True)
    plain, streamed = charges(site)[-2:]
    assert (plain["amount"], streamed["amount"]) == (DUE, DUE)
    assert balance(site) == before - 2 * DUE
    assert plain["metadata"]["price"] == streamed["metadata"]["price"]
    assert plain["metadata"]["price"]["cache_write_price"] == 1_500_000_000
    # A cache write that has no cost of its own costs as the prompt.
    assert plain["metadata"]["provider_cost"] == 400 * 500 + 600 * 50 + 10 * 1_500


def test_a_large_prompt_is_priced_by_its_tier(site, upstream):
    upstream.answers(completion(usage={"prompt_tokens": 5_001, "completion_tokens": 10}))
    ask(site)
    charge = charges(site)[-1]
    assert charge["amount"] == 5_001 * 2_000 + 10 * 4_000
    assert charge["metadata"]["price"]["tier_above"] == 5_000


def test_images_are_held_and_charged_by_the_piece(site, upstream):
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    upstream.answers(completion(usage={"prompt_tokens": 10, "completion_tokens": 0}))
    ask(site, messages=[{"role": "user", "content": [{"type": "text", "text": "What?"}, picture, picture]}])
    charge = charges(site)[-1]
    assert charge["amount"] == 10 * 1_000 + 2 * 1_000_000
    [hold] = site.sql("SELECT amount FROM ledger_hold ORDER BY id DESC LIMIT 1")
    assert hold["amount"] > charge["amount"]


def test_the_hold_covers_a_prompt_that_is_written_to_the_cache_whole(site):
    # A million prompt tokens cost nothing to speak of, and $1,000 where they are written to the provider's cache.
    long = [{"role": "user", "content": "word " * 5_000}]
    answer = ask(site, model="sandbox/dear-cache", messages=long)
    assert "/t/" in answer.choices[0].message.content
    assert ask(site, model="sandbox/dear-cache").choices[0].message.content == "You said: Hello"


def test_a_free_model_takes_no_balance(site):
    assert ask(site, model="sandbox/gift", user="pauper").choices[0].message.content == "You said: Hello"


def test_the_list_of_models_shows_every_part(site):
    headers = {"authorization": f"Bearer {site.key}"}
    models = httpx.get(f"{site.url()}/v1/models", headers=headers).raise_for_status().json()["data"]
    shown = {model["id"]: model["pricing"] for model in models}
    assert shown["fake/model"] == {
        "prompt": "1",
        "completion": "2",
        "input_cache_read": "0.1",
        "input_cache_write": "1.5",
        "request": "0",
        "minimum": "0",
        "image": "0.001",
        "tiers": [
            {
                "above": 5_000,
                "prompt": "2",
                "completion": "4",
                "input_cache_read": "0.2",
                "input_cache_write": "3",
            }
        ],
    }
    assert shown["sandbox/gift"] == {"prompt": "0", "completion": "0", "request": "0", "minimum": "0"}
    assert "cost" not in str(models)
