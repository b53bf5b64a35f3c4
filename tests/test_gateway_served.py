"""The gateway from outside, on two servers: keys that repeat, routes and their prices, what is remembered."""

import asyncio
import json
from collections import Counter

import httpx
import pytest

from tests.fake_upstream import HELLO, USAGE, FakeUpstream, completion
from tests.installation import Installation
from tests.leaver import Leaver, wait_for
from tests.story import HELLO as MESSAGES
from tests.story import assert_books_sum, document

pytestmark = pytest.mark.server

PRICING = {"prompt": "1", "completion": "2"}
DEAR = {"prompt": "10", "completion": "20"}
# Nano-dollars of the provider's USAGE (10 prompt, 3 completion tokens) at PRICING; at DEAR ten times that.
CHARGE = 10 * 1_000 + 3 * 2_000
REPLAYS = "Keeps Answers"


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as first, FakeUpstream() as second:
        described = document(first, trial="5", markup="0", pricing=PRICING, max_output_tokens=100)
        paywall = described["paywalls"][0]
        fake = paywall["models"][-1]
        speaks = ["chat", "messages", "responses"]
        paywall["providers"][-1]["surfaces"] = speaks
        paywall["providers"] += [
            {"name": "second", "base_url": second.base_url, "api_key": "k", "surfaces": speaks},
            {"name": "nobody", "base_url": "http://127.0.0.1:1/v1", "api_key": "k", "surfaces": speaks},
        ]
        second_route = {"provider": "second", "upstream_model": "up", "priority": 1}
        paywall["models"] += [
            {
                **fake,
                "id": "shared/model",
                "weight": 3,
                "routes": [{**second_route, "priority": 0, "weight": 1}],
            },
            {
                **fake,
                "id": "dearer/fallback",
                "provider": "nobody",
                "routes": [{**second_route, "pricing": DEAR}],
            },
            {
                **fake,
                "id": "cheaper/fallback",
                "provider": "nobody",
                "pricing": DEAR,
                "routes": [{**second_route, "pricing": PRICING}],
            },
            {
                **fake,
                "id": "down/model",
                "provider": "nobody",
                "routes": [{"provider": "nobody", "upstream_model": "other"}],
            },
        ]
        described["paywalls"].append({**paywall, "name": REPLAYS, "replay_answers": True, "models": [fake]})
        # Failures here are each for itself: neither tried again, nor held against the next test's request.
        env = {"UPSTREAM_ATTEMPTS": "1", "BREAKER_FAILURES": "1000000"}
        with Installation.running(described, servers=2, env=env) as site:
            yield Shop(site, first, second)
            assert_books_sum(site)


class Shop:
    def __init__(self, site, first, second):
        self.site, self.first, self.second = site, first, second

    def ask(self, model="fake/model", user="alice", *, path="chat/completions", headers=(), key=None, **more):
        body = {"model": model, "messages": MESSAGES, "user": user, **more}
        headers = {"authorization": f"Bearer {key or self.site.key}", **dict(headers)}
        return httpx.post(f"{self.site.url()}/v1/{path}", json=body, headers=headers, timeout=60)

    def fire(self, count, *, headers=(), **body):
        """So many requests at once, over both servers."""
        headers = {"authorization": f"Bearer {self.site.key}", **dict(headers)}
        body = {"model": "fake/model", "messages": MESSAGES, **body}

        async def all_at_once():
            async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=50)) as client:
                urls = [f"{self.site.url(number % 2)}/v1/chat/completions" for number in range(count)]
                return await asyncio.gather(*(client.post(url, json=body, headers=headers) for url in urls))

        return asyncio.run(all_at_once())

    def charged(self, user):
        return [
            row["amount"]
            for row in self.site.sql(
                "SELECT t.amount FROM ledger_transfer t JOIN ledger_account a ON a.id = t.wallet_id "
                "JOIN paywalls_enduser u ON u.id = a.user_id "
                "WHERE t.kind = 'usage' AND u.external_id = %s ORDER BY t.id",
                user,
            )
        ]

    def held(self, user):
        return [
            row["amount"]
            for row in self.site.sql("SELECT amount FROM ledger_hold WHERE about ->> 'user' = %s", user)
        ]

    def row(self, user):
        """The one row that remembers the one request of a user, once it is there."""
        [row] = wait_for(
            lambda: self.site.sql("SELECT * FROM ledger_proxyrequest WHERE external_id = %s", user)
        )
        return row


@pytest.fixture
def shop(running):
    for upstream in (running.first, running.second):
        upstream.answers(completion(), headers={"x-request-id": "theirs-1"})
        upstream.streams(*HELLO)
        upstream.delay = 0.0
        upstream.requests.clear()
    return running


# --- Idempotency-Key ---------------------------------------------------------------------------------------


def test_of_50_at_once_with_one_key_from_two_servers_one_is_asked_and_charged(shop):
    shop.first.delay = 0.5
    answers = shop.fire(50, user="fifty", headers={"idempotency-key": "once"})
    told = Counter(
        (answer.status_code, answer.json().get("error", {}).get("code", "an answer")) for answer in answers
    )
    assert told.pop((200, "an answer")) == 1
    # Who came after the first had its answer is told that, the others that it is under way.
    assert set(told) <= {(409, "idempotency_key_in_flight"), (409, "idempotency_key_completed")}
    assert len(shop.first.requests) == 1
    assert shop.charged("fifty") == [CHARGE]


def test_a_retry_gets_the_answer_that_was_kept_and_another_body_a_refusal(shop):
    key = shop.site.keys[REPLAYS]
    asked = {"user": "again", "headers": {"idempotency-key": "k1"}, "key": key}
    first = shop.ask(**asked)
    again = shop.ask(**asked)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert shop.ask(**asked, temperature=1).json()["error"]["code"] == "idempotency_key_reused"
    assert len(shop.first.requests) == 1
    assert shop.charged("again") == [CHARGE]
    # Another user's key of the same name is another key.
    assert "idempotent-replayed" not in shop.ask(**{**asked, "user": "other"}).headers


# --- Routes ------------------------------------------------------------------------------------------------


def test_routes_of_one_priority_share_the_requests_by_weight(shop):
    answers = shop.fire(200, model="shared/model", user="many")
    assert {answer.status_code for answer in answers} == {200}
    assert len(shop.first.requests) + len(shop.second.requests) == 200
    # Three of four; by chance outside of this once in ten million runs.
    assert 117 <= len(shop.first.requests) <= 181


@pytest.mark.parametrize(
    ("model", "charge"), [("dearer/fallback", 10 * CHARGE), ("cheaper/fallback", CHARGE)]
)
def test_the_hold_covers_the_dearest_route_and_the_one_that_served_is_charged(shop, model, charge):
    user = model.partition("/")[0]
    assert shop.ask(model, user).status_code == 200
    assert shop.charged(user) == [charge]
    shop.ask("fake/model", f"{user}-plain")
    assert shop.held(user) == [10 * amount for amount in shop.held(f"{user}-plain")]
    row = shop.row(user)
    assert (row["provider"], row["attempts"], row["charge"]) == ("second", 2, charge)


MESSAGE_OF = {
    "chat": ("chat/completions", {}, lambda body: body["choices"][0]["message"]["content"]),
    "messages": (
        "messages",
        {"max_tokens": 50, "metadata": {"user_id": "down"}},
        lambda body: body["content"][0]["text"],
    ),
    "responses": ("responses", {"input": "Hello"}, lambda body: body["output"][0]["content"][0]["text"]),
}


@pytest.mark.parametrize("api", MESSAGE_OF)
def test_where_all_routes_are_down_the_paywall_says_so_and_charges_nothing(shop, api):
    path, more, text_of = MESSAGE_OF[api]
    said = shop.ask("down/model", "down", path=path, **more)
    assert (said.status_code, said.headers["x-paywall-decision"]) == (200, "provider_error")
    words = text_of(said.json())
    assert words
    streamed = shop.ask("down/model", "down", path=path, stream=True, **more)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert json.dumps(words)[1:-1].encode() in streamed.content or words.encode() in streamed.content
    for stream in (False, True):
        error = shop.ask(
            "down/model", "down", path=path, stream=stream, headers={"x-paywall-reply": "error"}, **more
        )
        assert error.status_code == 502
        assert error.headers["content-type"] == "application/json"
    assert shop.charged("down") == []


def test_a_provider_that_is_busy_is_a_503_for_those_who_ask_for_errors(shop):
    shop.first.answers({"error": {}}, status=429, headers={"retry-after": "60"})
    busy = shop.ask(user="busy", headers={"x-paywall-reply": "error"})
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "60")
    assert shop.charged("busy") == []


# --- What is remembered ------------------------------------------------------------------------------------


def test_a_completed_request_is_remembered_with_its_buckets_and_latencies(shop):
    usage = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    shop.first.answers(completion(usage=usage), headers={"x-request-id": "theirs-2"})
    shop.ask(user="done")
    row = shop.row("done")
    buckets = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert [row[name] for name in buckets] == [6, 4, 0, 3, 2]
    assert (row["status"], row["reason"], row["http_status"]) == ("completed", "", 200)
    assert (row["model"], row["provider"], row["upstream_model"]) == ("fake/model", "fake", "up")
    assert (row["surface"], row["streamed"], row["attempts"]) == ("chat", False, 1)
    assert (row["upstream_request_id"], row["estimated"], row["charge"]) == ("theirs-2", False, CHARGE)
    assert 0 <= row["first_byte_ms"] <= row["total_ms"]


def test_a_failed_request_is_remembered_with_its_error(shop):
    shop.first.answers({"error": {}}, status=500)
    shop.ask(user="failed", headers={"x-paywall-reply": "error"})
    row = shop.row("failed")
    assert (row["status"], row["reason"], row["http_status"]) == ("failed", "provider_error", 502)
    assert (row["attempts"], row["charge"], row["input_tokens"]) == (1, 0, 0)


def test_a_client_that_left_is_remembered_with_what_it_paid(shop):
    shop.first.streams(*HELLO[:2], 60)
    body = {"model": "fake/model", "messages": MESSAGES, "user": "left", "stream": True}
    Leaver(shop.site, body).leave_after(b"Hello")
    row = shop.row("left")
    assert (row["status"], row["reason"], row["http_status"]) == ("canceled", "client_left", 499)
    assert row["estimated"]
    assert [row["charge"]] == shop.charged("left")
    assert row["charge"] > 0


def test_a_blocked_request_is_remembered_with_its_reason(shop):
    assert shop.ask("no/model", "blocked").status_code == 404
    row = shop.row("blocked")
    assert (row["status"], row["reason"], row["http_status"]) == ("blocked", "model_not_found", 404)
    assert (row["attempts"], row["charge"], row["first_byte_ms"]) == (0, 0, None)


def test_a_user_who_is_blocked_is_told_of_by_event(shop):
    shop.ask(user="banned")
    subscribed = httpx.post(
        f"{shop.site.url()}/v1/webhooks/subscriptions",
        json={"url": "https://hooks.example/blocked", "events": ["paywall.request.blocked"]},
        headers={"authorization": f"Bearer {shop.site.key}"},
    )
    assert subscribed.status_code == 201, subscribed.text
    shop.site.sql(
        "UPDATE paywalls_enduser SET blocked_at = now(), blocked_reason = 'fraud' WHERE external_id = 'banned'"
    )
    refused = shop.ask(user="banned")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "user_blocked")
    [event] = shop.site.sql("SELECT body FROM webhooks_event WHERE type = 'paywall.request.blocked'")
    told = json.loads(bytes(event["body"]))["data"]
    assert (told["reason"], told["requestId"]) == ("user_blocked", refused.headers["x-request-id"])
    assert len(shop.charged("banned")) == 1


def test_a_request_whose_process_was_killed_is_remembered_as_lost(shop):
    shop.first.streams(*HELLO[:2], 60)
    body = {"model": "fake/model", "messages": MESSAGES, "user": "lost", "stream": True}
    Leaver(shop.site, body).read_until(b"Hello")
    shop.site.kill(0)
    shop.site.start_server(0)
    shop.site.sql("UPDATE ledger_hold SET expires_at = now() WHERE about ->> 'user' = 'lost'")
    swept = shop.site.manage(
        "shell", "-c", "from ledger import services; print('swept', services.sweep_stale_holds())"
    )
    assert "swept 1" in swept.stdout, swept.stderr
    row = shop.row("lost")
    assert (row["status"], row["reason"], row["charge"]) == ("lost", "process_died", 0)
    assert (row["model"], row["surface"], row["streamed"]) == ("fake/model", "chat", True)
    assert shop.charged("lost") == []
