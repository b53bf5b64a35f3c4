"""Money under fire: many requests at once over two servers, processes that die, a database that goes away."""

import asyncio
import random
import signal
import threading
import time

import httpx
import openai
import pytest

from tests.fake_upstream import DONE, HELLO, USAGE, FakeUpstream, chunk
from tests.story import HELLO as MESSAGES
from tests.story import assert_books_sum, balance, charges, deposit, document

pytestmark = pytest.mark.server

# A request costs a cent whatever it says.
CENT = {"prompt": "0", "completion": "0", "request": "0.01"}
CENT_NANO = 10_000_000


def ask_at_once(site, count, users=("alice",), servers=2):
    """So many chats at the same moment, spread over servers and users; the decisions ("" for a model's answer)."""

    async def ask(client, index):
        answer = await client.post(
            f"{site.url(index % servers)}/v1/chat/completions",
            json={"model": "fake/model", "messages": MESSAGES, "user": users[index % len(users)]},
            headers={"authorization": f"Bearer {site.key}"},
        )
        assert answer.status_code == 200, answer.text
        return answer.headers.get("x-paywall-decision", "")

    async def all_of_them():
        limits = httpx.Limits(max_connections=count)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            return await asyncio.gather(*(ask(client, index) for index in range(count)))

    return asyncio.run(all_of_them())


class TestFundsForOne:
    @pytest.mark.parametrize("known", [True, False], ids=["a known user", "a user never seen before"])
    def test_of_50_requests_from_two_servers_one_reaches_the_provider(self, installation, known):
        with FakeUpstream() as upstream:
            upstream.delay = 0.3
            trial = "0" if known else "0.01"
            site = installation(document(upstream, trial=trial, markup="0", pricing=CENT), servers=2)
            if known:
                deposit(site, "0.019")
            decisions = ask_at_once(site, 50)
            assert sorted(decisions) == ["", *["insufficient_funds"] * 49]
            assert len(upstream.requests) == 1
            assert balance(site) == (9_000_000 if known else 0)
            assert len(site.sql("SELECT 1 FROM paywalls_enduser")) == 1
            assert len(site.sql("SELECT 1 FROM ledger_account WHERE kind = 'wallet'")) == 1
            assert len(site.sql("SELECT 1 FROM ledger_transfer WHERE kind = 'trial'")) == (0 if known else 1)
            assert_books_sum(site)

    def test_many_users_and_one_hot_wallet_are_charged_to_the_nano(self, installation):
        with FakeUpstream() as upstream:
            shop = document(upstream, trial="10", markup="0", pricing={"prompt": "1", "completion": "2"})
            site = installation(shop, servers=2)
            users = ["hot"] * 5 + [f"user-{index}" for index in range(5)]
            ask_at_once(site, 300, users)
            used = USAGE["prompt_tokens"] * 1_000 + USAGE["completion_tokens"] * 2_000
            assert sum(charge["amount"] for charge in charges(site)) == 300 * used
            assert balance(site, "hot") == 10 * 10**9 - 150 * used
            assert_books_sum(site)


class TestAServerDies:
    def test_kill_9_mid_stream_is_swept_and_charged_at_most_once(self, installation):
        with FakeUpstream() as upstream:
            upstream.streams(*HELLO[:2], 60)
            site = installation(
                document(upstream, markup="0"),
                worker=True,
                env={"UPSTREAM_TOTAL_SECONDS": "3", "HOLD_SECONDS": "4"},
            )
            stream = site.client().chat.completions.create(
                model="fake/model", user="alice", messages=MESSAGES, stream=True
            )
            while next(stream).choices[0].delta.content != "Hello":
                pass
            assert site.sql("SELECT state FROM ledger_hold") == [{"state": "open"}]
            site.kill(0)
            with pytest.raises(openai.APIConnectionError):
                next(stream)
            assert upstream.requests[0].aborted.wait(5)
            deadline = time.monotonic() + 30
            while site.sql("SELECT state FROM ledger_hold")[0]["state"] == "open":
                assert time.monotonic() < deadline, site.log("worker")
                time.sleep(0.1)
            assert site.sql("SELECT state FROM ledger_hold") == [{"state": "expired"}]
            assert charges(site) == []
            assert_books_sum(site)

            site.start_server(0)
            upstream.streams(*HELLO, chunk(usage=USAGE), DONE)
            assert balance(site) == 50_000_000
            site.client().chat.completions.create(model="fake/model", user="alice", messages=MESSAGES)
            assert len(charges(site)) == 1
            assert_books_sum(site)

    def test_sigterm_lets_a_stream_end_and_charges_it(self, installation):
        with FakeUpstream() as upstream:
            upstream.streams(*HELLO[:2], 1.0, *HELLO[2:], chunk(usage=USAGE), DONE)
            site = installation(document(upstream, markup="0"))
            stream = site.client().chat.completions.create(
                model="fake/model", user="alice", messages=MESSAGES, stream=True
            )
            next(stream)
            site.process(0).send_signal(signal.SIGTERM)
            assert [event.choices[0].finish_reason for event in stream if event.choices][-1] == "stop"
            site.process(0).wait(20)
            assert len(charges(site)) == 1
            assert_books_sum(site)


class TestTheDatabaseGoesAway:
    def test_connections_that_die_again_and_again_charge_every_answer_once(self, installation):
        """`pg_terminate_backend` around COMMIT: whatever was lost is tried again, nothing twice."""
        with FakeUpstream() as upstream:
            site = installation(document(upstream, trial="10", markup="0", pricing=CENT))
            done = threading.Event()

            def committed():
                return site.sql("SELECT count(*) FROM ledger_transfer")

            def terminate():
                seen = None
                while not done.wait(random.uniform(0, 0.05)):
                    # A slow machine needs longer to connect again: it is let do something between two blows.
                    if seen != (seen := committed()):
                        site.sql(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        )

            ask_at_once(site, 1, servers=1)  # the key and the paywall are known from here on
            thread = threading.Thread(target=terminate)
            thread.start()
            try:
                for _ in range(5):
                    ask_at_once(site, 40, servers=1)
            finally:
                done.set()
                thread.join()
            deadline = time.monotonic() + 20
            while site.sql("SELECT 1 FROM ledger_hold WHERE state = 'open'"):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert len(upstream.requests) == 201
            assert [charge["amount"] for charge in charges(site)] == [CENT_NANO] * 201
            assert_books_sum(site)
