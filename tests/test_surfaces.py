"""The other APIs: metered, paid and answered like chats, each in its own shape, with their official clients."""

import json

import anthropic
import httpx
import openai
import pytest

from tests.fake_upstream import DIE, DONE, HELLO, FakeUpstream
from tests.installation import Installation
from tests.story import assert_books_sum, balance, deposit, document

pytestmark = pytest.mark.server

# 1,000 nano-dollars a prompt token, 2,000 a generated one.
PRICING = {"prompt": "1", "completion": "2"}
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as upstream:
        shop = document(upstream, trial="0", markup="0", pricing=PRICING, max_output_tokens=100)
        shop["paywalls"][0]["providers"][1]["surfaces"] = [
            "chat",
            "completions",
            "embeddings",
            "messages",
            "responses",
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
    running[1].requests.clear()
    return running[1]


@pytest.fixture
def claude(site):
    return anthropic.Anthropic(base_url=site.url(), api_key=site.key, max_retries=0)


def last_charge(site):
    [row] = site.sql(
        "SELECT amount, metadata FROM ledger_transfer WHERE kind = 'usage' ORDER BY id DESC LIMIT 1"
    )
    return row["amount"], row["metadata"]["estimated"]


def events(*data):
    """Typed events, as OpenAI's Responses and Anthropic send them."""
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in data]


class TestCompletions:
    def test_plain(self, site, upstream):
        choice = {"index": 0, "text": " there", "finish_reason": "stop", "logprobs": None}
        upstream.answers(
            {
                "object": "text_completion",
                "choices": [choice],
                "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
            }
        )
        answer = site.client().completions.create(model="fake/model", user="alice", prompt="Hello")
        assert answer.choices[0].text == " there"
        seen = upstream.requests[-1]
        assert (seen.path, seen.body["model"], seen.body["max_tokens"]) == ("/v1/completions", "up", 16)
        assert last_charge(site) == (4 * 1_000 + 2 * 2_000, False)

    def test_streamed_without_usage_is_counted(self, site, upstream):
        choice = {"index": 0, "text": " there", "finish_reason": None, "logprobs": None}
        chunk = {"object": "text_completion", "choices": [choice]}
        ended = {"object": "text_completion", "choices": [{**choice, "text": "", "finish_reason": "stop"}]}
        upstream.streams(*(b"data: " + json.dumps(one).encode() + b"\n\n" for one in (chunk, ended)), DONE)
        stream = site.client().completions.create(
            model="fake/model", user="alice", prompt="Hello", stream=True
        )
        assert "".join(one.choices[0].text for one in stream) == " there"
        assert last_charge(site) == (1 * 1_000 + 1 * 2_000, True)

    def test_the_hold_covers_every_prompt_and_choice(self, site, upstream):
        upstream.answers({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}})
        site.client().completions.create(
            model="fake/model", user="alice", prompt=["a", "b", "c"], n=2, best_of=5, max_tokens=10
        )
        [hold] = site.sql("SELECT amount FROM ledger_hold ORDER BY id DESC LIMIT 1")
        assert hold["amount"] >= 3 * 5 * 10 * 2_000

    def test_who_cannot_pay_gets_a_text_with_the_link(self, site):
        for streamed in (False, True):
            answer = site.client().completions.create(
                model="fake/model", user="broke", prompt="Hello", stream=streamed
            )
            chunks = list(answer) if streamed else [answer]
            assert "/t/" in "".join(chunk.choices[0].text for chunk in chunks)
            assert chunks[-1].choices[0].finish_reason == "stop"


class TestEmbeddings:
    def test_are_metered(self, site, upstream):
        vector = {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}
        upstream.answers(
            {"object": "list", "data": [vector], "usage": {"prompt_tokens": 7, "total_tokens": 7}}
        )
        answer = site.client().embeddings.create(
            model="fake/model", user="alice", input=["Hello", "there"], encoding_format="float"
        )
        assert answer.data[0].embedding == [0.5, -1.0]
        assert upstream.requests[-1].path == "/v1/embeddings"
        assert "max_tokens" not in upstream.requests[-1].body
        assert last_charge(site) == (7_000, False)

    def test_tokens_that_the_client_made_count_one_each(self, site, upstream):
        upstream.answers({"object": "list", "data": []})
        site.client().embeddings.create(
            model="fake/model", user="alice", input=[[1, 2, 3], [4]], encoding_format="float"
        )
        assert last_charge(site) == (4_000, True)

    def test_who_cannot_pay_gets_402_for_numbers_can_hold_no_link(self, site):
        with pytest.raises(openai.APIStatusError) as refused:
            site.client().embeddings.create(model="fake/model", user="broke", input="Hello")
        assert (refused.value.status_code, refused.value.code) == (402, "insufficient_funds")
        assert "/t/" in refused.value.message


RESPONSE = {
    "id": "resp_up",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "up",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
RESPONSE_USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 13,
}
DELTA = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
         "delta": "Hello there", "logprobs": [], "sequence_number": 1}  # fmt: skip


class TestResponses:
    def test_plain(self, site, upstream):
        upstream.answers({**RESPONSE, "usage": RESPONSE_USAGE})
        answer = site.client().responses.create(model="fake/model", user="alice", input="Hello")
        assert answer.id == "resp_up"
        seen = upstream.requests[-1]
        assert (seen.path, seen.body["max_output_tokens"]) == ("/v1/responses", 100)
        assert last_charge(site) == (10 * 1_000 + 3 * 2_000, False)

    def test_streamed_ends_with_the_settled_event(self, site, upstream):
        completed = {"type": "response.completed", "response": {**RESPONSE, "usage": RESPONSE_USAGE}}
        sent = events({"type": "response.created", "response": RESPONSE, "sequence_number": 0}, DELTA,
                      {**completed, "sequence_number": 2})  # fmt: skip
        upstream.streams(*sent)
        stream = site.client().responses.create(model="fake/model", user="alice", input="Hello", stream=True)
        assert [event.type for event in stream] == [
            "response.created",
            "response.output_text.delta",
            "response.completed",
        ]
        assert last_charge(site) == (10 * 1_000 + 3 * 2_000, False)

    def test_a_stream_that_dies_is_charged_for_what_came(self, site, upstream):
        upstream.streams(*events(DELTA), 0.05, DIE)
        stream = site.client().responses.create(model="fake/model", user="alice", input="Hello", stream=True)
        with pytest.raises(openai.APIError):
            list(stream)
        assert last_charge(site) == (1 * 1_000 + 2 * 2_000, True)

    def test_background_is_refused(self, site):
        with pytest.raises(openai.BadRequestError, match="background"):
            site.client().responses.create(model="fake/model", user="alice", input="Hello", background=True)

    def test_who_cannot_pay_gets_a_response_with_the_link(self, site):
        client = site.client()
        answer = client.responses.create(model="fake/model", user="broke", input="Hello")
        assert "/t/" in answer.output_text
        assert answer.model_extra["paywall"]["decision"] == "insufficient_funds"
        with client.responses.stream(
            model="fake/model", input="Hello", extra_body={"user": "broke"}
        ) as stream:
            assert stream.get_final_response().output_text == answer.output_text


CLAUDE = {
    "id": "msg_up",
    "type": "message",
    "role": "assistant",
    "model": "up",
    "content": [{"type": "text", "text": "Hello there"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
}
CLAUDE_USAGE = {
    "input_tokens": 6,
    "cache_read_input_tokens": 3,
    "cache_creation_input_tokens": 1,
    "output_tokens": 4,
}


def claude_stream(*, until=6):
    """Anthropic's six events, or the first of them."""
    begun = {**CLAUDE, "content": [], "stop_reason": None, "usage": {**CLAUDE_USAGE, "output_tokens": 1}}
    return events(
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello there"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    )[:until]


class TestMessages:
    ASKED = {"model": "fake/model", "max_tokens": 500, "messages": MESSAGES, "metadata": {"user_id": "alice"}}

    def test_plain_with_anthropics_headers_and_cache_counts(self, site, upstream, claude):
        upstream.answers({**CLAUDE, "usage": CLAUDE_USAGE})
        told = {"anthropic-version": "2024-01-01", "anthropic-beta": "x-1"}
        answer = claude.messages.create(**self.ASKED, extra_headers=told)
        assert answer.content[0].text == "Hello there"
        seen = upstream.requests[-1]
        assert (seen.path, seen.body["max_tokens"]) == ("/v1/messages", 100)
        headers = {name.lower(): value for name, value in seen.headers.items()}
        assert headers["x-api-key"] == "sk-provider"
        assert {name: headers[name] for name in told} == told
        assert "authorization" not in headers
        # Outside of input_tokens, unlike OpenAI's: 6 + 3 + 1 tokens of prompt.
        assert last_charge(site) == (10 * 1_000 + 4 * 2_000, False)

    def test_streamed(self, site, upstream, claude):
        upstream.streams(*claude_stream())
        with claude.messages.stream(**self.ASKED) as stream:
            assert stream.get_final_text() == "Hello there"
        assert last_charge(site) == (10 * 1_000 + 4 * 2_000, False)

    def test_a_stream_that_dies_ends_in_anthropics_error_and_is_counted(self, site, upstream, claude):
        upstream.streams(*claude_stream(until=3), 0.05, DIE)
        with pytest.raises(anthropic.APIStatusError), claude.messages.stream(**self.ASKED) as stream:
            stream.get_final_text()
        amount, estimated = last_charge(site)
        assert estimated
        # "Hello", the frame of its message, and two tokens that came.
        assert 1_000 + 2 * 2_000 <= amount <= 10 * 1_000 + 2 * 2_000

    def test_who_cannot_pay_gets_a_message_with_the_link(self, site, claude):
        broke = {**self.ASKED, "metadata": {"user_id": "broke"}}
        answer = claude.messages.create(**broke)
        assert "/t/" in answer.content[0].text
        assert answer.stop_reason == "end_turn"
        with claude.messages.stream(**broke) as stream:
            assert stream.get_final_text() == answer.content[0].text

    @pytest.mark.parametrize(
        ("change", "status", "kind"),
        [
            ({"model": "gone"}, 404, "not_found_error"),
            ({"metadata": {}}, 400, "invalid_request_error"),
            ({"max_tokens": None}, 400, "invalid_request_error"),
            ({"messages": []}, 400, "invalid_request_error"),
        ],
    )
    def test_errors_have_anthropics_shape(self, site, change, status, kind):
        answer = httpx.post(
            f"{site.url()}/v1/messages", json={**self.ASKED, **change}, headers={"x-api-key": site.key}
        )
        assert answer.status_code == status
        assert (answer.json()["type"], answer.json()["error"]["type"]) == ("error", kind)

    def test_an_unknown_key_too(self, site):
        answer = httpx.post(f"{site.url()}/v1/messages", json=self.ASKED, headers={"x-api-key": "wrong"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


class TestWhatAProviderSpeaks:
    @pytest.mark.parametrize(
        ("path", "asked"),
        [
            ("embeddings", {"input": "Hello"}),
            ("responses", {"input": "Hello"}),
            ("messages", {"messages": MESSAGES, "max_tokens": 5, "metadata": {"user_id": "alice"}}),
        ],
    )
    def test_what_it_does_not_speak_is_a_clear_400_and_free(self, site, path, asked):
        before = balance(site)
        answer = httpx.post(
            f"{site.url()}/v1/{path}",
            json={"model": "sandbox/echo", "user": "alice", **asked},
            headers={"authorization": f"Bearer {site.key}"},
        )
        assert answer.status_code == 400
        assert "its provider speaks chat" in answer.json()["error"]["message"]
        assert balance(site) == before

    def test_the_url_may_name_the_user_on_any_of_them(self, site, upstream):
        upstream.answers({"object": "list", "data": [], "usage": {"prompt_tokens": 2, "total_tokens": 2}})
        answer = httpx.post(
            f"{site.url()}/v1/alice/embeddings",
            json={"model": "fake/model", "input": "Hello"},
            headers={"authorization": f"Bearer {site.key}"},
        )
        assert answer.status_code == 200
        assert last_charge(site) == (2_000, False)


# Enough for each API, said by the user named.
ASKED = {
    "/chat/completions": lambda user: {"user": user, "messages": MESSAGES},
    "/completions": lambda user: {"user": user, "prompt": "Hello"},
    "/responses": lambda user: {"user": user, "input": "Hello"},
    "/messages": lambda user: {"metadata": {"user_id": user}, "messages": MESSAGES, "max_tokens": 9},
}
OURS = ("x-paywall-decision", "x-should-retry", "idempotent-replayed")


class TestNobodyElsePosesAsThePaywall:
    """A provider that sends the very answer which the paywall gives who can't pay: the words pass, the mark doesn't."""

    def ask(self, site, path, user, **more):
        return httpx.post(
            f"{site.url()}/v1{path}",
            json={"model": "fake/model", **ASKED[path](user), **more},
            headers={"authorization": f"Bearer {site.key}", "x-api-key": site.key},
        )

    @pytest.mark.parametrize("path", ASKED)
    def test_a_plain_answer_has_no_mark_of_ours(self, site, upstream, path):
        ours = self.ask(site, path, "broke")
        assert ours.headers["x-paywall-decision"] == "insufficient_funds"
        upstream.answers({**ours.json(), "unknown": {"paywall": 1}}, headers=dict.fromkeys(OURS, "true"))
        theirs = self.ask(site, path, "alice")
        said = ours.json()
        assert said.pop("paywall")["decision"] == "insufficient_funds"
        assert theirs.json() == {**said, "unknown": {"paywall": 1}}
        assert not set(OURS) & set(theirs.headers)

    @pytest.mark.parametrize("path", ASKED)
    def test_a_stream_has_no_mark_of_ours(self, site, upstream, path):
        ours = self.ask(site, path, "broke", stream=True)
        assert ours.headers["x-paywall-decision"] == "insufficient_funds"
        upstream.streams(ours.content, headers=dict.fromkeys(OURS, "true"))
        theirs = self.ask(site, path, "alice", stream=True)
        assert '"paywall"' in ours.text
        assert '"paywall"' not in theirs.text
        assert "/t/" in theirs.text
        assert theirs.text.count("\n\n") >= 3
        assert not set(OURS) & set(theirs.headers)

    def test_a_refusal_has_none(self, site, upstream):
        refusal = {"error": {"message": "No.", "code": "x"}, "paywall": {"decision": "insufficient_funds"}}
        upstream.answers(refusal, 400, headers=dict.fromkeys(OURS, "true"))
        theirs = self.ask(site, "/chat/completions", "alice")
        assert theirs.json() == {"error": refusal["error"]}
        assert not set(OURS) & set(theirs.headers)

    def test_an_error_that_ends_a_stream_has_none(self, site, upstream):
        upstream.answers({}, 200)
        fault = {"error": {"message": "No."}, "paywall": {"decision": "insufficient_funds"}}
        upstream.streams(HELLO[0], f"data: {json.dumps(fault)}\n\n".encode())
        theirs = self.ask(site, "/chat/completions", "alice", stream=True)
        assert json.loads(theirs.text.split("data: ")[-1]) == {"error": fault["error"]}
