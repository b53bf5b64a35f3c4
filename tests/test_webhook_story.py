"""A customer's whole story, as their endpoint sees it: every process real, every delivery signed."""

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
import standardwebhooks

from tests import databases
from tests.fake_upstream import DIE, DONE, FakeUpstream, chunk
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
    both = document(upstream)
    [acme] = both["paywalls"]
    shared = {"name": "Oracle", "mode": "shared", "trial_credit": "0", "limits": {"requests_per_minute": 5}}
    both["paywalls"].append(acme | shared)
    with Installation.running(both, worker=True, env={**ENV, "SANDBOX_MAIL": "true"}) as running:
        yield running


@pytest.fixture
def endpoint(site: Installation) -> Iterator["Endpoint"]:
    with Receiver() as receiver:
        subscribed = Endpoint(site, receiver)
        yield subscribed
        subscribed.call("DELETE", f"subscriptions/{subscribed.id}")


class Endpoint:
    """The customer's: subscribed to everything, verifying everything."""

    def __init__(self, site: Installation, receiver: Receiver, paywall: str = "Acme Chat") -> None:
        self._site = site
        self._key = site.keys[paywall]
        self.receiver = receiver
        made = self.call("POST", "subscriptions", json={"url": receiver.url, "events": ["*"]})
        self.id = made["subscription"]["id"]
        self.secrets = [made["subscription"]["secret"]]
        self._seen = 0

    def call(self, method: str, path: str, **options: Any) -> Any:
        answer = httpx.request(
            method,
            f"{self._site.url()}/v1/webhooks/{path}",
            headers={"authorization": f"Bearer {self._key}"},
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
        client.chat.completions.create(
            model="sandbox/error", messages=HELLO, user="alice", extra_headers={"x-paywall-reply": "error"}
        )
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


def test_a_shared_paywalls_story(site: Installation) -> None:
    """Decline, connect, top up, refund, rotate, block, limit, disconnect, archive."""
    client = site.client(api_key=site.keys["Oracle"])
    seen: list[str] = []

    def ask() -> str:
        answer = client.chat.completions.create(model="sandbox/echo", messages=HELLO, user="carol")
        return str(answer.choices[0].message.content)

    with Receiver() as receiver, httpx.Client(follow_redirects=True) as browser:
        endpoint = Endpoint(site, receiver, "Oracle")

        def tells(*types: str) -> None:
            assert endpoint.types(len(types)) == sorted(types)
            seen.extend(types)

        # She says no, then yes, and tops her wallet up from the chat.
        link = link_in(ask())
        tells("paywall.authorization.requested", "paywall.request.blocked")
        submit(browser, browser.get(link), answer="decline", reason="Not today")
        tells("paywall.authorization.declined")
        link = link_in(ask())
        tells("paywall.authorization.requested", "paywall.request.blocked")
        here = urlsplit(link).path
        page = browser.get(f"{site.url()}/wallet/sign-in", params={"next": here})
        page = submit(browser, page, email="carol@home.test", next=here)
        page = submit(browser, page, code=re.findall(r"code is (\d{6})", page.text)[0])
        submit(browser, page, answer="approve", limit="")
        tells("paywall.authorization.completed")
        link = link_in(ask())
        tells("paywall.balance.depleted", "paywall.balance.topup.link.created", "paywall.request.blocked")
        pay(link)
        tells("paywall.stripe.checkout.session.completed")
        assert ask()
        tells(STARTED, COMPLETED, CHARGED)
        # The paywall's share of it becomes earnings, a few seconds later.
        tells("paywall.balance.charge.completed")

        # A refund is on her ledger; the catalogue has no event for one, so the next to come is the rotation's.
        operate(site, "refund(Transfer.objects.filter(kind='usage').latest('id').pk, source='refund:carol')")
        assert len(site.sql("SELECT 1 FROM ledger_transfer WHERE source = 'refund:carol'")) == 1

        # Her app's operator acts, and she is too fast.
        operate(
            site, "rotate_key(paywall.keys.get(), actor_type='operator', actor_id='op', overlap_seconds=600)"
        )
        tells("paywall.secret.rotated")
        operate(site, "block_user(user, 'abuse')")
        with pytest.raises(openai.PermissionDeniedError):
            ask()
        tells("paywall.request.blocked")
        operate(site, "unblock_user(user)")
        with pytest.raises(openai.RateLimitError):
            ask()
        tells("paywall.usage.rate.limited")
        left = httpx.post(
            f"{site.url()}/v1/user/disconnect",
            params={"user": "carol"},
            headers={"authorization": f"Bearer {site.keys['Oracle']}"},
        )
        assert left.json()["success"]
        tells("paywall.authorization.revoked")
        operate(site, "archive_paywall(paywall, 'Sold')")
        tells("paywall.archived")
        with pytest.raises(openai.APIStatusError, match="410"):
            ask()

    assert set(seen) == {
        STARTED, COMPLETED, CHARGED, "paywall.archived", "paywall.authorization.completed",
        "paywall.authorization.declined", "paywall.authorization.requested", "paywall.authorization.revoked",
        "paywall.balance.charge.completed", "paywall.balance.depleted", "paywall.balance.topup.link.created",
        "paywall.request.blocked", "paywall.secret.rotated", "paywall.stripe.checkout.session.completed",
        "paywall.usage.rate.limited",
    }  # fmt: skip


def submit(browser: httpx.Client, page: httpx.Response, **fields: str) -> httpx.Response:
    """Send the form of a page as a browser would."""
    assert page.is_success, page.text
    [token, *_] = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    data = {"csrfmiddlewaretoken": token, **fields}
    sent = browser.post(str(page.url), data=data, headers={"referer": str(page.url)})
    assert sent.is_success, sent.text
    return sent


def link_in(text: str) -> str:
    """The link of a paywall's answer."""
    [link] = re.findall(r"https?://\S+", text)
    return str(link)


def operate(site: Installation, call: str) -> None:
    """What an operator's button does, on the paywall "Oracle" and its user carol."""
    done = site.manage(
        "shell",
        "--command",
        "from ledger.models import Transfer\n"
        "from ledger.services import refund\n"
        "from paywalls.keys import rotate_key\n"
        "from paywalls.models import EndUser, Paywall\n"
        "from paywalls.standing import archive_paywall, block_user, unblock_user\n"
        "paywall = Paywall.objects.get(name='Oracle')\n"
        "user = EndUser.objects.get(paywall=paywall, external_id='carol')\n" + call,
    )
    assert done.returncode == 0, done.stderr


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


def test_a_charge_that_waits_for_the_ledger_is_told_and_made_later(
    site: Installation, upstream: FakeUpstream, endpoint: Endpoint
) -> None:
    upstream.streams(chunk({"content": "Once"}), 0.5, chunk({}, finish_reason="stop"), DONE)
    stream = iter(
        site.client().chat.completions.create(model="fake/model", messages=HELLO, user="erin", stream=True)
    )
    next(stream)
    assert endpoint.types(2) == sorted([TRIAL, STARTED])
    with databases.connect(site.env["DATABASE_URL"]) as other, other.transaction():
        other.execute("SELECT 1 FROM ledger_account WHERE kind = 'wallet' FOR UPDATE")
        list(stream)
        [deferred] = endpoint.new(1)
        assert deferred["type"] == "paywall.usage.charge.deferred"
        assert deferred["data"]["model"] == "fake/model"
    completed, charged = sorted(endpoint.new(2), key=lambda event: event["type"])
    assert (completed["type"], charged["type"]) == (COMPLETED, CHARGED)
    assert charged["subject"]["id"] == deferred["data"]["deferredRequestId"]


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
