"""A customer's whole story, as their endpoint sees it: every process real, every delivery signed."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
import standardwebhooks

from tests.fake_upstream import DIE, FakeUpstream, chunk
from tests.installation import Installation
from tests.receiver import Receiver
from tests.story import HELLO, deposit, document, pay

pytestmark = pytest.mark.server

ENV = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "WEBHOOK_BACKOFF_BASE_SECONDS": "1"}

# What each part of the story tells, in the order of its own request.
TRIAL = "paywall.balance.trial.granted"
DEPOSIT = "paywall.balance.deposit.created"
STARTED = "paywall.proxy.request.started"
COMPLETED = "paywall.proxy.request.completed"
FAILED = "paywall.proxy.request.failed"
CANCELED = "paywall.proxy.request.canceled"
CHARGED = "paywall.usage.charge.created"


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def site(upstream: FakeUpstream) -> Iterator[Installation]:
    with Installation.running(document(upstream), worker=True, env=ENV) as running:
        yield running


@pytest.fixture
def endpoint(site: Installation) -> Iterator["Endpoint"]:
    with Receiver() as receiver:
        subscribed = Endpoint(site, receiver)
        yield subscribed
        subscribed.call("DELETE", f"subscriptions/{subscribed.id}")


class Endpoint:
    """The customer's: subscribed to everything, verifying everything."""

    def __init__(self, site: Installation, receiver: Receiver) -> None:
        self._site = site
        self.receiver = receiver
        made = self.call("POST", "subscriptions", json={"url": receiver.url, "events": ["*"]})
        self.id = made["subscription"]["id"]
        self.secrets = [made["subscription"]["secret"]]
        self._seen = 0

    def call(self, method: str, path: str, **options: Any) -> Any:
        answer = httpx.request(
            method,
            f"{self._site.url()}/v1/webhooks/{path}",
            headers={"authorization": f"Bearer {self._site.key}"},
            **options,
        )
        assert answer.is_success, answer.text
        return answer.json()

    def new(self, count: int) -> list[dict[str, Any]]:
        """The next `count` events, verified, oldest first."""
        requests = self.receiver.wait_for(self._seen + count)[self._seen :]
        for request in requests:
            standardwebhooks.Webhook(self.secrets[-1]).verify(request.body, request.headers)
        self._seen += count
        return sorted((request.event for request in requests), key=lambda event: event["id"])

    def types(self, count: int) -> list[str]:
        return sorted(event["type"] for event in self.new(count))


def test_a_customers_story(site: Installation, upstream: FakeUpstream, endpoint: Endpoint) -> None:
    client = site.client()
    seen: list[str] = []

    def tells(*types: str) -> None:
        assert endpoint.types(len(types)) == sorted(types)
        seen.extend(types)

    # A first chat: the trial, and a request from start to charge.
    client.chat.completions.create(model="fake/model", messages=HELLO, user="alice")
    tells(TRIAL, STARTED, COMPLETED, CHARGED)

    list(client.chat.completions.create(model="fake/model", messages=HELLO, user="alice", stream=True))
    tells(STARTED, COMPLETED, CHARGED)

    # The app charges, too, until the balance is not enough: a link, paid in the sandbox.
    charge(site, "0.0495")
    tells("paywall.balance.charge.created", "paywall.balance.charge.completed")
    reply = client.chat.completions.create(model="fake/model", messages=HELLO, user="alice")
    link = str(reply.choices[0].message.content).split()[-1]
    tells("paywall.balance.topup.link.created", "paywall.request.blocked", "paywall.balance.depleted")
    pay(link)
    tells(DEPOSIT, "paywall.stripe.checkout.session.completed")

    # The app's own money.
    deposit(site, "1", user="alice")
    tells(DEPOSIT)
    charge(site, "0.25")
    tells("paywall.balance.charge.created", "paywall.balance.charge.completed")
    charge(site, "1000")
    tells(
        "paywall.balance.charge.failed",
        "paywall.balance.depleted",
        "paywall.balance.topup.link.created",
    )

    # What goes wrong.
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="not/sold", messages=HELLO, user="alice")
    tells("paywall.proxy.request.blocked")
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="sandbox/error", messages=HELLO, user="alice")
    tells(STARTED, FAILED)
    upstream.streams(chunk({"content": "Once"}), 0.1, DIE)
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="fake/model", messages=HELLO, user="alice", stream=True))
    tells(STARTED, FAILED, CHARGED)

    # A client that leaves.
    upstream.streams(chunk({"content": "Once"}), 5.0, chunk({"content": " upon"}))
    stream = client.chat.completions.create(model="fake/model", messages=HELLO, user="alice", stream=True)
    next(iter(stream))
    stream.close()
    tells(STARTED, CANCELED, CHARGED)

    # A changed price.
    changed = document(upstream, markup="30")
    site.apply(changed)
    tells("paywall.updated")

    assert set(seen) == {
        TRIAL, DEPOSIT, STARTED, COMPLETED, FAILED, CANCELED, CHARGED,
        "paywall.balance.charge.completed", "paywall.balance.charge.created", "paywall.balance.charge.failed",
        "paywall.balance.depleted", "paywall.balance.topup.link.created", "paywall.proxy.request.blocked",
        "paywall.request.blocked", "paywall.stripe.checkout.session.completed", "paywall.updated",
    }  # fmt: skip


def test_requests_and_charges_tell_of_the_same_request(site: Installation, endpoint: Endpoint) -> None:
    raw = site.client().chat.completions.with_raw_response.create(
        model="sandbox/echo", messages=HELLO, user="bob"
    )
    request_id = raw.headers["x-request-id"]
    events = {event["type"]: event for event in endpoint.new(4)}
    assert events[STARTED]["data"]["requestId"] == request_id
    assert events[COMPLETED]["data"]["requestId"] == request_id
    assert events[CHARGED]["subject"] == {"type": "request", "id": request_id, "externalId": "bob"}
    [user] = site.sql("SELECT id FROM paywalls_enduser WHERE external_id = 'bob'")
    assert {event["data"]["walletUserId"] for event in events.values()} == {f"usr_{user['id'].hex}"}


def test_deliveries_come_at_once(site: Installation, endpoint: Endpoint) -> None:
    deposit(site, "1", user="carol")
    endpoint.new(2)
    started = time.monotonic()
    deposit(site, "1", user="carol")
    endpoint.new(1)
    assert time.monotonic() - started < 2


def test_a_killed_worker_loses_nothing(site: Installation, endpoint: Endpoint) -> None:
    site.kill("worker")
    for _ in range(5):
        deposit(site, "1", user="dave")
    time.sleep(0.2)
    assert endpoint.receiver.requests == []
    site.start_worker()
    assert endpoint.types(6) == sorted([TRIAL, *[DEPOSIT] * 5])


def charge(site: Installation, amount: str) -> None:
    answer = httpx.post(
        f"{site.url()}/v1/user/charge",
        json={"user": "alice", "amount": amount},
        headers={"authorization": f"Bearer {site.key}"},
    )
    answer.raise_for_status()
