"""The main job, as its users live it: the official client, real servers, real money rules."""

import json
import re
import time

import httpx
import openai
import pytest

from tests.fake_upstream import USAGE, FakeUpstream, completion
from tests.installation import Installation
from tests.story import HELLO, assert_books_sum, balance, charges, document, pay

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def limits_site():
    with (
        FakeUpstream() as upstream,
        Installation.running(document(upstream, trial="1", max_output_tokens=50)) as site,
    ):
        yield site, upstream


@pytest.fixture(scope="module")
def broke():
    with Installation.running(document(trial="0")) as site:
        yield site


class TestTheMainJob:
    @pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
    def test_chat_link_pay_chat(self, installation, streamed):
        site = installation(document(trial="0.011"))
        client = site.client()

        def ask(text):
            answer = client.chat.completions.create(
                model="sandbox/echo",
                user="alice",
                messages=[{"role": "user", "content": text}],
                stream=streamed,
            )
            if not streamed:
                return answer.choices[0].message.content
            return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)

        assert ask("Hello") == "You said: Hello"
        first = balance(site)
        # 8 prompt and 4 completion tokens, the fee, and 20 % on top.
        [charge] = charges(site)
        counted = charge["metadata"]["price"]
        exact = (counted["prompt_tokens"] * 1_000 + counted["completion_tokens"] * 2_000 + 100_000) * 12 // 10
        assert charge["amount"] == exact == 11_000_000 - first

        replies = [ask("Hello") for _ in range(20)]
        link = re.search(r"http://\S+/t/\S+", replies[-1]).group(0)
        spent = balance(site)
        assert ask("Still there?").endswith(link)
        assert balance(site) == spent

        pay(link)
        assert ask("Hello again") == "You said: Hello again"
        assert balance(site) < spent + 5_000_000_000
        assert_books_sum(site)

    def test_a_stream_and_a_plain_call_with_the_same_usage_cost_the_same(self, installation):
        with FakeUpstream() as upstream:
            site = installation(document(upstream))
            client = site.client()
            client.chat.completions.create(model="fake/model", user="alice", messages=HELLO)
            for _ in client.chat.completions.create(
                model="fake/model", user="alice", messages=HELLO, stream=True
            ):
                pass
            plain, streamed = charges(site)
            assert plain["amount"] == streamed["amount"] == (10_000 + 6_000 + 100_000) * 12 // 10
            assert plain["metadata"] == streamed["metadata"]
            assert plain["metadata"]["estimated"] is False
            assert_books_sum(site)


class TestWhatIsForwarded:
    def test_all_as_it_came_but_for_model_limit_and_usage(self, installation):
        with FakeUpstream() as upstream:
            site = installation(document(upstream, trial="1", max_output_tokens=50))
            tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
            schema = {"name": "s", "strict": True, "schema": {"type": "object", "properties": {}}}
            picture = {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}
            body = {
                "messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, picture]}],
                "tools": tools,
                "tool_choice": "auto",
                "parallel_tool_calls": False,
                "response_format": {"type": "json_schema", "json_schema": schema},
                "n": 2,
                "logprobs": True,
                "top_logprobs": 3,
                "seed": 7,
                "never_heard_of": {"x": [1.5, None, "é"]},
            }
            answer = json.dumps({**completion(), "never_heard_of": {"x": 1.50}}, indent=3).encode()
            upstream.answers(answer)
            got = httpx.post(
                f"{site.url()}/v1/chat/completions",
                json={**body, "model": "fake/model", "paywall": {"decision": "ours"}},
                headers={"authorization": f"Bearer {site.key}", "x-paywall-user": "alice"},
            )
            assert (got.status_code, got.content) == (200, answer)
            seen = upstream.requests[-1]
            assert seen.body == {**body, "model": "up", "max_tokens": 50}
            assert seen.headers["Authorization"] == "Bearer sk-provider"
            assert "x-paywall-user" not in {name.lower() for name in seen.headers}

    @pytest.mark.parametrize(
        ("given", "forwarded"),
        [
            ({"max_tokens": 20}, {"max_tokens": 20}),
            ({"max_tokens": 10**12}, {"max_tokens": 50}),
            ({"max_completion_tokens": 30}, {"max_completion_tokens": 30}),
            (
                {"max_completion_tokens": 70, "max_tokens": 20},
                {"max_completion_tokens": 20, "max_tokens": 20},
            ),
        ],
    )
    def test_a_limit_is_lowered_to_what_the_hold_covers(self, limits_site, given, forwarded):
        site, upstream = limits_site
        site.client().chat.completions.create(
            model="fake/model", user="alice", messages=HELLO, extra_body=given
        )
        seen = upstream.requests[-1].body
        assert {name: seen[name] for name in seen if name.startswith("max_")} == forwarded

    def test_the_hold_covers_every_choice(self, limits_site):
        site, _ = limits_site
        site.client().chat.completions.create(model="fake/model", user="alice", messages=HELLO, n=20)
        [hold] = site.sql("SELECT amount FROM ledger_hold ORDER BY id DESC LIMIT 1")
        assert hold["amount"] >= 20 * 50 * 2_000 * 12 // 10


class TestHeaders:
    def test_the_request_id_is_ours_and_the_providers_limits_stay_with_us(self, installation):
        with FakeUpstream() as upstream:
            site = installation(document(upstream))
            headers = {"x-request-id": "up-1", "x-ratelimit-remaining-requests": "9", "set-cookie": "a=b"}
            upstream.answers({"choices": [], "usage": USAGE}, headers=headers)
            answer = site.client().chat.completions.with_raw_response.create(
                model="fake/model", user="alice", messages=HELLO
            )
            ours = answer.headers["x-request-id"]
            assert ours.startswith("req_")
            assert answer.headers["x-upstream-request-id"] == "up-1"
            assert "x-ratelimit-remaining-requests" not in answer.headers
            assert "set-cookie" not in answer.headers
            [charge] = charges(site)
            assert charge["request_id"].hex == ours.removeprefix("req_")


class TestInsufficientFunds:
    def test_the_answer_is_a_normal_message_that_machines_can_tell(self, broke):
        raw = broke.client().chat.completions.with_raw_response.create(
            model="sandbox/echo", user="alice", messages=HELLO
        )
        answer = raw.parse()
        assert raw.headers["x-paywall-decision"] == "insufficient_funds"
        assert answer.choices[0].finish_reason == "stop"
        extension = answer.model_extra["paywall"]
        assert extension["decision"] == "insufficient_funds"
        assert extension["url"] in answer.choices[0].message.content
        assert (answer.usage.total_tokens, extension["available"]) == (0, "0")

    def test_a_stream_ends_as_streams_do_and_has_usage_only_when_asked(self, broke):
        for asked in (False, True):
            options = {"stream_options": {"include_usage": True}} if asked else {}
            chunks = list(
                broke.client().chat.completions.create(
                    model="sandbox/echo", user="alice", messages=HELLO, stream=True, **options
                )
            )
            assert chunks[0].model_extra["paywall"]["decision"] == "insufficient_funds"
            assert [c.choices[0].finish_reason for c in chunks if c.choices] == [None, "stop"]
            assert [c.usage.total_tokens for c in chunks if c.usage] == ([0] if asked else [])

    def test_who_asks_for_errors_gets_402_that_is_not_retried(self, broke):
        client = broke.client(default_headers={"x-paywall-reply": "error"}, max_retries=2)
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="sandbox/echo", user="alice", messages=HELLO)
        assert refused.value.status_code == 402
        assert refused.value.code == "insufficient_funds"
        assert refused.value.response.headers["x-should-retry"] == "false"
        # A retry would come within half a second, and the log's line just after the answer.
        time.sleep(1)
        assert broke.log(0).count(" 402 ") == 1

    def test_nothing_is_held_or_charged(self, broke):
        broke.client().chat.completions.create(model="sandbox/echo", user="carol", messages=HELLO)
        assert balance(broke, "carol") == 0
        assert_books_sum(broke)

    def test_a_prompt_is_counted_only_where_the_cheap_bound_does_not_fit(self, installation):
        # 4,000 bytes are at most 4,000 tokens and in truth about 1,000.
        text = "word " * 800
        pricing = {"prompt": "10", "completion": "0"}
        site = installation(document(trial="0.012", markup="0", pricing=pricing))
        answer = site.client().chat.completions.create(
            model="sandbox/echo", user="alice", messages=[{"role": "user", "content": text}], max_tokens=5
        )
        assert answer.choices[0].message.content.startswith("You said:")
        [hold] = site.sql("SELECT amount, captured FROM ledger_hold")
        assert hold["captured"] <= hold["amount"] <= 12_000_000


class TestSpendLimits:
    def test_a_users_own_limit_is_429_that_says_when_and_is_not_retried(self, installation):
        site = installation(
            document(pricing={"prompt": "0", "completion": "0", "request": "0.002"}, markup="0")
        )
        answer = httpx.put(
            f"{site.url()}/v1/user/settings",
            json={"user": "alice", "dayLimit": "0.003"},
            headers={"authorization": f"Bearer {site.key}"},
        )
        assert answer.status_code == 200, answer.text
        client = site.client(max_retries=2)
        client.chat.completions.create(model="sandbox/echo", user="alice", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as refused:
            client.chat.completions.create(model="sandbox/echo", user="alice", messages=HELLO)
        assert refused.value.code == "spend_limit_reached"
        assert 0 < int(refused.value.response.headers["retry-after"]) <= 24 * 3600
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert len(charges(site)) == 1
        client.chat.completions.create(model="sandbox/echo", user="bob", messages=HELLO)
        assert_books_sum(site)


class TestConfigurationChanges:
    def test_a_new_price_counts_for_the_very_next_request(self, installation):
        site = installation(
            document(pricing={"prompt": "0", "completion": "0", "request": "0.001"}, markup="0")
        )
        client = site.client()
        ask = lambda: client.chat.completions.create(model="sandbox/echo", user="alice", messages=HELLO)  # noqa: E731
        ask()
        site.sql("UPDATE paywalls_paywallmodel SET request_price = 2000000")
        ask()
        assert [charge["amount"] for charge in charges(site)] == [1_000_000, 2_000_000]

    def test_a_revoked_key_is_refused_on_the_very_next_request(self, installation):
        site = installation(document())
        client = site.client()
        client.chat.completions.create(model="sandbox/echo", user="alice", messages=HELLO)
        site.sql("UPDATE paywalls_paywallkey SET revoked_at = now()")
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model="sandbox/echo", user="alice", messages=HELLO)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        assert len(charges(site)) == 1
        assert_books_sum(site)

    def test_a_new_model_is_sold_at_once(self, installation):
        site = installation(document())
        client = site.client()
        assert "sandbox/slow" not in [model.id for model in client.models.list()]
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="sandbox/slow", user="alice", messages=HELLO)
        site.sql(
            "INSERT INTO paywalls_paywallmodel SELECT (jsonb_populate_record(m, jsonb_build_object("
            "'id', gen_random_uuid(), 'model_id', 'sandbox/slow', 'upstream_model', 'slow'))).* "
            "FROM paywalls_paywallmodel m WHERE model_id = 'sandbox/echo'"
        )
        answer = client.chat.completions.create(model="sandbox/slow", user="alice", messages=HELLO)
        assert answer.choices[0].message.content == "You said: Hello"
        assert client.models.retrieve("sandbox/slow").id == "sandbox/slow"


class TestModels:
    def test_the_list_shows_what_buyers_pay(self, installation):
        site = installation(document())
        echo = {model.id: model for model in site.client().models.list()}["sandbox/echo"]
        assert echo.object == "model"
        # 20 % on top of 1, 2 and 0.0001.
        assert {name: echo.model_extra["pricing"][name] for name in ("prompt", "completion", "request")} == {
            "prompt": "1.2",
            "completion": "2.4",
            "request": "0.00012",
        }
