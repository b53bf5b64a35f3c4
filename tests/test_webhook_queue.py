"""The table is the truth: a flushed queue and a second clock lose no event and do no harm."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from tests.installation import Installation
from tests.leaver import wait_for
from tests.receiver import Receiver
from tests.story import assert_books_sum, deposit, document

pytestmark = pytest.mark.server

EVENTS = 60


@pytest.fixture
def site() -> Iterator[Installation]:
    env = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "WEBHOOK_BACKOFF_BASE_SECONDS": "1"}
    with Installation.running(document(trial="0"), worker=True, env=env) as running:
        # A second worker brings a second clock.
        running.start_worker("worker-2")
        yield running


def flush(site: Installation) -> None:
    """Empty the queue, whichever carries it."""
    if url := site.env["REDIS_URL"]:
        redis.Redis.from_url(url).flushdb()
    else:
        for message in Path(site.env["DATA_DIR"]).rglob("*.msg"):
            message.unlink(missing_ok=True)


def test_every_event_arrives_through_two_clocks_and_a_queue_that_is_flushed_all_the_while(
    site: Installation,
) -> None:
    done = threading.Event()

    def keep_flushing() -> None:
        while not done.wait(0.05):
            flush(site)

    flushing = threading.Thread(target=keep_flushing)
    with Receiver() as receiver:
        asked = {"url": receiver.url, "events": ["paywall.balance.deposit.created"]}
        headers = {"authorization": f"Bearer {site.key}"}
        httpx.post(f"{site.url()}/v1/webhooks/subscriptions", json=asked, headers=headers).raise_for_status()
        flushing.start()
        try:
            for number in range(EVENTS):
                deposit(site, "1", f"user-{number}")
        finally:
            done.set()
            flushing.join()
        wait_for(lambda: len({request.event["id"] for request in receiver.requests}) == EVENTS, 60)
        wait_for(lambda: not site.sql("SELECT 1 FROM webhooks_delivery WHERE state <> 'succeeded'"), 30)
    told = {request.event["data"]["externalUserId"] for request in receiver.requests}
    assert told == {f"user-{number}" for number in range(EVENTS)}
    [row] = site.sql("SELECT count(*) AS events FROM webhooks_event")
    assert row["events"] == EVENTS
    for worker in ("worker", "worker-2"):
        assert site.process(worker).poll() is None, site.log(worker)
        assert "Traceback" not in site.log(worker), site.log(worker)
    assert_books_sum(site)
