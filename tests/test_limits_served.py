"""Limits from outside: two server processes and a Redis that fails, asked over HTTP."""

import asyncio
import json
from collections import Counter

import httpx
import pytest

from tests.fake_upstream import HELLO, FakeUpstream
from tests.installation import Installation
from tests.leaver import Leaver, wait_for
from tests.redis_server import RedisServer
from tests.story import HELLO as MESSAGES
from tests.story import assert_books_sum, charges, document

pytestmark = pytest.mark.server

SLOW_STREAM = (*HELLO[:2], 60)


class Shop:
    def __init__(self, site, upstream, redis):
        self.site, self.upstream, self.redis = site, upstream, redis

    def ask(self, model, user, *, server=0, path="/v1/chat/completions", **more):
        body = {"model": model, "messages": MESSAGES, "user": user, **more}
        return httpx.post(f"{self.site.url(server)}{path}", json=body, headers=self.headers, timeout=30)

    @property
    def headers(self):
        return {"authorization": f"Bearer {self.site.key}"}

    def streaming(self, model, user):
        """A stream of server 0 that has begun and goes on."""
        body = {"model": model, "messages": MESSAGES, "user": user, "stream": True}
        stream = Leaver(self.site, body)
        stream.read_until(b"Hello")
        return stream

    def models(self, **query):
        answer = httpx.get(f"{self.site.url()}/v1/models", params=query, headers=self.headers)
        return [model["id"] for model in answer.raise_for_status().json()["data"]]


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as upstream, RedisServer() as redis:
        described = document(upstream, trial="1", markup="0", max_output_tokens=50)
        paywall = described["paywalls"][0]
        paywall["limits"] = {"spend_per_day": "0.9"}
        paywall["providers"][-1]["surfaces"] = ["chat", "messages"]
        fake = paywall["models"].pop()
        paywall["models"] += [
            fake,
            {**fake, "id": "seven/minute", "limits": {"requests_per_minute": 7}},
            {**fake, "id": "one/minute", "limits": {"requests_per_minute": 1}},
            {**fake, "id": "one/time", "limits": {"concurrent_requests": 1}},
            {**fake, "id": "few/tokens", "limits": {"tokens_per_minute": 30}},
            {
                **fake,
                "id": "spend/day",
                "pricing": {"prompt": "0", "completion": "0", "request": "0.1"},
                "limits": {"spend_per_day": "0.3"},
            },
            {**fake, "id": "dear/model", "pricing": {"prompt": "0", "completion": "0", "request": "0.95"}},
        ]
        with Installation.running(described, servers=2, env={"REDIS_URL": redis.url}) as site:
            yield Shop(site, upstream, redis)


@pytest.fixture
def shop(running):
    running.upstream.streams(*SLOW_STREAM)
    running.upstream.requests.clear()
    return running


def set_own(shop, user, **limits):
    columns = ", ".join(f"{name} = %s" for name in limits)
    shop.site.sql(f"UPDATE paywalls_enduser SET {columns} WHERE external_id = %s", *limits.values(), user)


def test_of_50_requests_from_two_servers_exactly_the_limit_goes_through(shop):
    shop.site.sql("DELETE FROM webhooks_subscription")
    answer = httpx.post(
        f"{shop.site.url()}/v1/webhooks/subscriptions",
        json={"url": "https://hooks.example/limits", "events": ["paywall.usage.rate.limited"]},
        headers=shop.headers,
    )
    assert answer.status_code == 201, answer.text

    async def fire():
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=50)) as client:
            body = {"model": "seven/minute", "messages": MESSAGES, "user": "fifty"}
            urls = [f"{shop.site.url(index % 2)}/v1/chat/completions" for index in range(50)]
            return await asyncio.gather(*(client.post(url, json=body, headers=shop.headers) for url in urls))

    before = len(charges(shop.site))
    answers = asyncio.run(fire())
    assert Counter(answer.status_code for answer in answers) == {200: 7, 429: 43}
    assert len(shop.upstream.requests) == 7
    assert len(charges(shop.site)) == before + 7
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.headers["x-ratelimit-limit-requests"] == "7"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    left = {answer.headers["x-ratelimit-remaining-requests"] for answer in answers if answer.is_success}
    assert left == {str(count) for count in range(7)}
    assert_books_sum(shop.site)
    events = shop.site.sql("SELECT body FROM webhooks_event WHERE type = 'paywall.usage.rate.limited'")
    assert len(events) == 1, "one a minute, of all server processes"
    told = json.loads(bytes(events[0]["body"]))["data"]
    assert (told["limit"], told["model"]) == (7, "seven/minute")


def test_each_api_tells_it_in_its_own_shape(shop):
    assert shop.ask("one/minute", "shape").status_code == 200
    chat = shop.ask("one/minute", "shape", server=1)
    assert (chat.status_code, chat.json()["error"]["type"]) == (429, "rate_limit_error")
    other = shop.ask(
        "one/minute", None, path="/v1/shape/messages", metadata={"user_id": "shape"}, max_tokens=5
    )
    assert other.status_code == 429
    assert other.json()["type"] == "error"
    assert other.json()["error"]["type"] == "rate_limit_error"
    assert int(other.headers["retry-after"]) >= 1


def test_a_users_own_limit_wins_from_the_next_request_on(shop):
    assert shop.ask("fake/model", "own").status_code == 200
    set_own(shop, "own", requests_per_minute=2)
    seen = [shop.ask("fake/model", "own", server=server).status_code for server in (0, 1, 0, 1)]
    assert seen == [200, 200, 429, 429]
    set_own(shop, "own", requests_per_minute=3)
    assert shop.ask("fake/model", "own", server=1).status_code == 200, "also where it is raised"
    set_own(shop, "own", requests_per_minute=None)
    answer = shop.ask("fake/model", "own")
    assert answer.status_code == 200
    assert "x-ratelimit-limit-requests" not in answer.headers


def test_models_that_a_user_may_not_ask_are_refused_and_not_listed(shop):
    assert shop.ask("fake/model", "choosy").status_code == 200
    set_own(shop, "choosy", allowed_models=["sandbox/*", "one/time"], max_output_tokens=7)
    refused = shop.ask("fake/model", "choosy")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    assert shop.models(user="choosy") == sorted(
        ["one/time", "sandbox/breaks", "sandbox/echo", "sandbox/error", "sandbox/no-usage"]
    )
    assert "fake/model" in shop.models()
    assert shop.ask("one/time", "choosy", max_tokens=40).status_code == 200
    assert shop.upstream.requests[-1].body["max_tokens"] == 7


def test_tokens_are_corrected_by_what_was_used(shop):
    def counted():
        [window] = [
            key for key in shop.redis.client().keys("*few/tokens\ttokens*") if not key.endswith(b"/-1")
        ]
        return int(shop.redis.client().get(window))

    first = shop.ask("few/tokens", "tokens", max_tokens=5)
    assert (first.status_code, first.headers["x-ratelimit-limit-tokens"]) == (200, "30")
    wait_for(lambda: counted() == 13)
    assert shop.ask("few/tokens", "tokens", max_tokens=5).status_code == 200
    wait_for(lambda: counted() == 26)
    assert shop.ask("few/tokens", "tokens", max_tokens=5).status_code == 429
    too_long = shop.ask("few/tokens", "tokens", messages=[{"role": "user", "content": "word " * 40}])
    assert (too_long.status_code, too_long.json()["error"]["code"]) == (400, "prompt_too_long")


def test_a_spend_limit_of_the_paywall_is_each_users(shop):
    for user in ("rich", "richer"):
        refused = shop.ask("dear/model", user)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "spend_limit_reached")
    httpx.put(
        f"{shop.site.url()}/v1/user/settings", json={"user": "rich", "dayLimit": "1"}, headers=shop.headers
    ).raise_for_status()
    assert shop.ask("dear/model", "rich").status_code == 200


def test_a_models_spend_limit_lets_through_what_fits_from_two_servers(shop):
    async def fire():
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=20)) as client:
            body = {"model": "spend/day", "messages": MESSAGES, "user": "spender"}
            urls = [f"{shop.site.url(index % 2)}/v1/chat/completions" for index in range(20)]
            return await asyncio.gather(*(client.post(url, json=body, headers=shop.headers) for url in urls))

    answers = asyncio.run(fire())
    assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 17}
    assert len(shop.upstream.requests) == 3
    refused = next(answer for answer in answers if answer.status_code == 429)
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "spend_limit_reached")
    assert "for spend/day is reached: the limit of $0.30 a day" in error["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    assert refused.headers["x-should-retry"] == "false"
    assert shop.ask("fake/model", "spender").status_code == 200, "of this model only"
    assert shop.ask("spend/day", "saver").status_code == 200, "and of this user"
    assert_books_sum(shop.site)


def test_a_client_that_leaves_frees_its_slot(shop):
    stream = shop.streaming("one/time", "leaver")
    busy = shop.ask("one/time", "leaver", server=1)
    assert (busy.status_code, busy.json()["error"]["code"]) == (429, "concurrency_limit_exceeded")
    stream.socket.close()
    wait_for(lambda: shop.ask("one/time", "leaver", server=1).status_code == 200)


def test_a_server_that_is_killed_holds_no_slot_past_its_lease(shop):
    stream = shop.streaming("one/time", "killed")
    shop.site.kill(0)
    assert shop.ask("one/time", "killed", server=1).status_code == 429
    client = shop.redis.client()
    [slots] = [key for key in client.keys("*concurrent*") if b"killed" in key and not key.endswith(b"told")]
    [(lease, until)] = client.zrange(slots, 0, -1, withscores=True)
    assert until - client.time()[0] * 1000 <= 31_000
    client.zadd(slots, {lease: 1})  # its 30 seconds are over
    assert shop.ask("one/time", "killed", server=1).status_code == 200
    stream.socket.close()
    shop.site.start_server(0)


def test_a_redis_that_is_away_stops_nobody_and_is_used_again(shop):
    def readyz():
        answer = httpx.get(f"{shop.site.url()}/readyz")
        assert answer.status_code == 200
        return answer.json()["redis"], answer.json()["limits"]

    assert shop.ask("one/minute", "outage").status_code == 200
    assert readyz() == ("ok", "ok")
    shop.redis.stop()
    assert shop.ask("one/minute", "outage").status_code == 200, "this process begins to count"
    assert [shop.ask("seven/minute", "outage").status_code for _ in range(3)] == [200] * 3
    assert shop.ask("dear/model", "outage").status_code == 429, "spend limits hold"
    assert [shop.ask("spend/day", "outage").status_code for _ in range(4)] == [200] * 3 + [429]
    assert readyz() == ("away", "local")
    assert shop.site.log(0).count("Redis is away") == 1
    shop.redis.start()
    wait_for(lambda: readyz() == ("ok", "ok"))
    assert shop.ask("one/minute", "outage").status_code == 200
    assert shop.ask("one/minute", "outage", server=0).status_code == 429
    assert shop.redis.client().keys("*outage*")
    assert shop.site.log(0).count("Redis is back") == 1
