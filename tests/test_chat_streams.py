"""Streams, byte for byte, and every way in which they end."""

import json
import time

import httpx
import openai
import pytest

from tests.fake_upstream import DIE, DONE, HELLO, USAGE, FakeUpstream, chunk, completion
from tests.installation import Installation
from tests.leaver import Leaver, wait_for
from tests.story import HELLO as MESSAGES
from tests.story import assert_books_sum, balance, document

pytestmark = pytest.mark.server

# Nothing is marked up here, and the model may write 100 tokens: 1,000 nano-dollars a prompt token, 2,000 a token.
PRICING = {"prompt": "1", "completion": "2"}
USED = 10 * 1_000 + 3 * 2_000


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as upstream:
        shop = document(upstream, trial="1", markup="0", pricing=PRICING, max_output_tokens=100)
        # What becomes of failures by other routes, tries and breakers is in test_routing.py.
        env = {"UPSTREAM_ATTEMPTS": "1", "BREAKER_FAILURES": "1000000"}
        with Installation.running(shop, env=env) as site:
            yield site, upstream
            assert_books_sum(site)


@pytest.fixture
def site(running):
    return running[0]


@pytest.fixture
def upstream(running):
    """The provider, without a script from the test before."""
    upstream = running[1]
    upstream.answers(completion())
    upstream.streams(*HELLO, chunk(usage=USAGE), DONE)
    upstream.delay = 0.0
    upstream.requests.clear()
    return upstream


def body(**more):
    return {"model": "fake/model", "messages": MESSAGES, "user": "alice", "stream": True, **more}


def asks_for_errors(site):
    """The official client, which would rather have an error than the paywall's message."""
    return site.client(default_headers={"x-paywall-reply": "error"})


def raw_stream(site, **more):
    """The bytes of a streamed answer, as they are on the wire."""
    headers = {"authorization": f"Bearer {site.key}"}
    answer = httpx.post(f"{site.url()}/v1/chat/completions", json=body(**more), headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.content


ASKED = {"stream_options": {"include_usage": True}}


def last_charge(site):
    [row] = site.sql(
        "SELECT amount, metadata FROM ledger_transfer WHERE kind = 'usage' ORDER BY id DESC LIMIT 1"
    )
    return row["amount"], row["metadata"]


def number_of_charges(site):
    return site.sql("SELECT count(*) AS n FROM ledger_transfer WHERE kind = 'usage'")[0]["n"]


class TestBytes:
    def test_one_byte_at_a_time_with_comments_crlf_cut_utf8_and_a_1_mb_line(self, site, upstream):
        sent = b"".join(
            [
                b": keep-alive\n\n",
                chunk({"role": "assistant", "content": "Grüße 😀"}).replace(b"\n", b"\r\n"),
                b'event: custom\ndata: {"unknown": [1.0, 1e3, "\\u00e9"],\ndata: "choices": []}\n\n',
                chunk({"content": "ü" * 50}).replace(b"\\u00fc", "ü".encode()),
                chunk({}, finish_reason="stop"),
            ]
        )
        big = chunk({"content": "x" * 1_000_000})
        end = chunk(usage=USAGE) + DONE
        upstream.streams(*(sent[at : at + 1] for at in range(len(sent))), big, end)
        assert raw_stream(site, **ASKED) == sent + big + end
        assert last_charge(site)[0] == USED

    def test_usage_is_asked_for_and_hidden_from_who_did_not_ask(self, site, upstream):
        got = raw_stream(site)
        assert upstream.requests[-1].body["stream_options"] == {"include_usage": True}
        assert b"usage" not in got
        expected = [event.replace(b', "usage": null', b"") for event in HELLO]
        assert got == b"".join([*expected, DONE])
        assert last_charge(site)[0] == USED

    def test_events_are_passed_on_as_they_come(self, site, upstream):
        upstream.streams(HELLO[0], HELLO[1], 1.0, *HELLO[2:], chunk(usage=USAGE), DONE)
        stream = site.client().chat.completions.create(
            model="fake/model", user="alice", messages=MESSAGES, stream=True
        )
        arrivals = [time.monotonic() for _ in stream]
        assert arrivals[2] - arrivals[1] > 0.5

    def test_an_end_without_done_or_blank_line_stays_as_it_is(self, site, upstream):
        last = chunk({}, finish_reason="stop", usage=USAGE).rstrip(b"\n")
        upstream.streams(*HELLO[:3], last)
        assert raw_stream(site, **ASKED) == b"".join(HELLO[:3]) + last
        assert last_charge(site)[0] == USED


class TestUsage:
    @pytest.mark.parametrize(
        ("usages", "prompt", "output", "estimated"),
        [
            ([USAGE], 10, 3, False),
            ([USAGE, USAGE], 10, 3, False),
            ([{**USAGE, "completion_tokens": 1}, {**USAGE, "completion_tokens": 2}, USAGE], 10, 3, False),
            ([{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}], 0, 0, False),
            ([None], 8, 3, True),
            ([{}], 8, 3, True),
            ([], 8, 3, True),
        ],
        ids=["once", "twice", "cumulative", "zero", "null", "empty", "absent"],
    )
    @pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
    def test_is_charged_once(self, site, upstream, usages, prompt, output, estimated, streamed):
        if streamed:
            upstream.streams(*HELLO, *(chunk(usage=usage) for usage in usages), DONE)
            raw_stream(site)
        else:
            upstream.answers(completion(usage=usages[-1]) if usages else completion(usage=None))
            site.client().chat.completions.create(model="fake/model", user="alice", messages=MESSAGES)
        [hold] = site.sql("SELECT id, state, captured FROM ledger_hold ORDER BY id DESC LIMIT 1")
        assert (hold["state"], hold["captured"]) == ("captured", prompt * 1_000 + output * 2_000)
        rows = site.sql("SELECT metadata FROM ledger_transfer WHERE request_id = %s", hold["id"])
        # Nothing used is nothing charged: there is no transfer of zero.
        assert [(row["metadata"]["estimated"], row["metadata"]["ending"]) for row in rows] == (
            [(estimated, "completed")] if hold["captured"] else []
        )


class TestTheProviderFails:
    @pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
    @pytest.mark.parametrize(
        ("status", "answered", "code"),
        [
            (500, 502, "provider_error"),
            (503, 502, "provider_error"),
            (401, 502, "provider_key_refused"),
            (404, 404, "context_length_exceeded"),
            (302, 502, "provider_error"),
            (429, 503, "provider_rate_limited"),
            (400, 400, "context_length_exceeded"),
        ],
    )
    def test_before_the_first_byte_it_is_a_real_status_and_free(
        self, site, upstream, status, answered, code, streamed
    ):
        before, count = balance(site), number_of_charges(site)
        error = {"error": {"message": "no", "type": "t", "param": None, "code": "context_length_exceeded"}}
        upstream.answers(
            error, status=status, headers={"location": "http://127.0.0.1:1/", "retry-after": "7"}
        )
        with pytest.raises(openai.APIStatusError) as failed:
            asks_for_errors(site).chat.completions.create(
                model="fake/model", user="alice", messages=MESSAGES, stream=streamed
            )
        assert (failed.value.status_code, failed.value.code) == (answered, code)
        if status == 429:
            assert failed.value.response.headers["retry-after"] == "7"
        assert (balance(site), number_of_charges(site)) == (before, count)

    @pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
    def test_a_connection_that_dies_before_anything_came_is_502_and_free(self, site, upstream, streamed):
        before, count = balance(site), number_of_charges(site)
        upstream.answers(DIE)
        upstream.streams(DIE)
        with pytest.raises(openai.APIStatusError) as failed:
            asks_for_errors(site).chat.completions.create(
                model="fake/model", user="alice", messages=MESSAGES, stream=streamed
            )
        assert failed.value.status_code == 502
        assert (balance(site), number_of_charges(site)) == (before, count)

    def test_a_plain_answer_that_is_no_json_is_502_and_free(self, site, upstream):
        count = number_of_charges(site)
        upstream.answers(b"<html>")
        with pytest.raises(openai.APIStatusError) as failed:
            asks_for_errors(site).chat.completions.create(model="fake/model", user="alice", messages=MESSAGES)
        assert failed.value.status_code == 502
        assert number_of_charges(site) == count

    @pytest.mark.parametrize("ending", [(DIE,), ()], ids=["broken", "closed early"])
    def test_mid_stream_ends_in_an_error_frame_never_in_done_and_what_came_is_charged(
        self, site, upstream, ending
    ):
        upstream.streams(*HELLO[:3], 0.05, *ending)
        got = raw_stream(site, **ASKED)
        frame = got.removeprefix(b"".join(HELLO[:3]))
        assert json.loads(frame.removeprefix(b"data: "))["error"]["code"] == "provider_died"
        assert frame.endswith(b"\n\n")
        amount, metadata = last_charge(site)
        # 8 tokens of prompt; "Hello there." is 3, " there" without the point one less.
        assert amount == 8 * 1_000 + 3 * 2_000
        assert (metadata["ending"], metadata["estimated"]) == ("upstream_died", True)

    def test_an_error_frame_of_the_provider_is_passed_on_and_not_billed_as_text(self, site, upstream):
        error = b'data: {"error": {"message": "' + b"overloaded " * 50 + b'"}}\n\n'
        upstream.streams(*HELLO[:2], error)
        got = raw_stream(site)
        assert error in got
        assert b"[DONE]" not in got
        amount, _ = last_charge(site)
        assert amount == 8 * 1_000 + 1 * 2_000


class TestTheClientLeaves:
    """The documented charge: the prompt, and what was generated until then."""

    @pytest.mark.parametrize(
        ("script", "marker", "output"),
        [
            ((30,), b"", 0),
            ((HELLO[0], 30), b"assistant", 0),
            ((*HELLO[:2], 30), b"Hello", 1),
            ((*HELLO[:3], 30), b"there", 3),
            ((*HELLO, 30), b'finish_reason": "stop', 3),
        ],
        ids=["before the first chunk", "after the role", "after one", "after all text", "before [DONE]"],
    )
    def test_the_upstream_is_closed_within_a_second_and_what_came_is_charged(
        self, site, upstream, script, marker, output
    ):
        count = number_of_charges(site)
        upstream.streams(*script)
        leaver = Leaver(site, body())
        seen = wait_for(lambda: upstream.requests and upstream.requests[0])
        leaver.leave_after(marker)
        assert seen.aborted.wait(1.0), "the upstream goes on generating"
        wait_for(lambda: number_of_charges(site) == count + 1)
        amount, metadata = last_charge(site)
        assert amount == 8 * 1_000 + output * 2_000
        assert (metadata["ending"], metadata["estimated"]) == ("client_left", True)

    def test_after_the_usage_came_the_charge_is_exact(self, site, upstream):
        count = number_of_charges(site)
        upstream.streams(*HELLO, chunk(usage=USAGE), 30)
        Leaver(site, body(**ASKED)).leave_after(b'"prompt_tokens"')
        wait_for(lambda: number_of_charges(site) == count + 1)
        amount, metadata = last_charge(site)
        assert (amount, metadata["estimated"]) == (USED, False)

    def test_from_a_plain_call_pays_the_prompt(self, site, upstream):
        count = number_of_charges(site)
        upstream.delay = 30
        leaver = Leaver(site, body(stream=False))
        seen = wait_for(lambda: upstream.requests and upstream.requests[0])
        leaver.leave_after()
        assert seen.aborted.wait(1.0)
        wait_for(lambda: number_of_charges(site) == count + 1)
        assert last_charge(site)[0] == 8 * 1_000

    def test_200_at_once_leave_no_upstream_open_and_no_hold_behind(self, site, upstream):
        count = number_of_charges(site)
        upstream.streams(*HELLO[:2], 60)
        leavers = [Leaver(site, body()) for _ in range(200)]
        wait_for(lambda: len(upstream.requests) == 200, 30)
        for leaver in leavers:
            leaver.leave_after(b"Hello")
        wait_for(lambda: all(seen.aborted.is_set() for seen in upstream.requests), 15)
        wait_for(lambda: number_of_charges(site) == count + 200, 30)
        assert site.sql("SELECT 1 FROM ledger_hold WHERE state = 'open'") == []

    def test_a_keep_alive_connection_that_has_its_answer_is_no_leaver(self, site, upstream):
        with httpx.Client(headers={"authorization": f"Bearer {site.key}"}) as client:
            for _ in range(3):
                assert (
                    client.post(f"{site.url()}/v1/chat/completions", json=body(stream=False)).status_code
                    == 200
                )
        assert last_charge(site)[1]["ending"] == "completed"
        wait_for(lambda: " 200 " in site.log(0).strip().splitlines()[-1])
