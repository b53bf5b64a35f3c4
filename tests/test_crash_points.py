"""`kill -9` at named moments of a request: restarted and swept, the books sum and nothing was charged twice."""

import time

import openai
import pytest

from tests.crashing_web import MOMENTS
from tests.fake_upstream import FakeUpstream
from tests.story import HELLO, assert_books_sum, balance, charges, document

pytestmark = pytest.mark.server

CENT = {"prompt": "0", "completion": "0", "request": "0.01"}
TRIAL_NANO, CENT_NANO = 50_000_000, 10_000_000
# What the provider saw, what was charged, and how the hold ended.
AFTER = {
    "after_the_hold": (0, 0, "expired"),
    "after_the_providers_answer": (1, 0, "expired"),
    "inside_the_settlements_transaction": (1, 0, "expired"),
    "after_its_commit": (1, 1, "captured"),
}


def ask(site):
    return site.client().chat.completions.create(model="fake/model", user="alice", messages=HELLO)


def hold_state(site):
    return [row["state"] for row in site.sql("SELECT state FROM ledger_hold ORDER BY id")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_that_is_killed_charges_at_most_once_and_its_books_sum(installation, moment):
    with FakeUpstream() as upstream:
        site = installation(
            document(upstream, markup="0", pricing=CENT),
            env={"UPSTREAM_TOTAL_SECONDS": "2", "HOLD_SECONDS": "3", "CRASH_AT": moment},
        )
        site.kill(0)
        site.start_server(0, module="tests.crashing_web")
        with pytest.raises(openai.APIConnectionError):
            ask(site)
        site.process(0).wait(10)
        seen, charged, state = AFTER[moment]

        site.start_server(0)
        site.start_worker()
        deadline = time.monotonic() + 30
        while "open" in hold_state(site):
            assert time.monotonic() < deadline, site.log("worker")
            time.sleep(0.1)
        assert (len(upstream.requests), len(charges(site)), hold_state(site)) == (seen, charged, [state])
        assert balance(site) == TRIAL_NANO - charged * CENT_NANO
        items = site.sql("SELECT state FROM ledger_reconciliationitem")
        assert items == ([] if state == "captured" else [{"state": "open"}])
        assert_books_sum(site)

        ask(site)
        assert len(charges(site)) == charged + 1
        assert_books_sum(site)
