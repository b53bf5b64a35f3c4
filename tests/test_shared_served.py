"""Shared mode from outside: two web processes, the real client, a wallet filled through Stripe, earnings paid out."""

import copy
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.fake_stripe import KEY, FakeStripe
from tests.installation import DOCUMENT, Installation
from tests.visitor import Visitor

pytestmark = pytest.mark.server

HELLO: Any = [{"role": "user", "content": "Hello"}]
PRICING = {"prompt": "1.001", "completion": "2.003", "request": "0.010000007"}
COST = {"prompt": "0.501", "completion": "1.007", "request": "0.003"}


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        yield running


@pytest.fixture(scope="module")
def site(stripe: FakeStripe) -> Iterator[Installation]:
    """Two servers, a shared paywall whose provider the installation pays, and the installation's Stripe account."""
    document = copy.deepcopy(DOCUMENT)
    paywall = document["paywalls"][0] | {"mode": "shared", "trial_credit": "0"}
    paywall["providers"][0]["installation_pays"] = True
    paywall["models"] = [paywall["models"][0] | {"pricing": PRICING, "cost": COST}]
    document["paywalls"] = [paywall]
    env = {
        "PLATFORM_FEE_PERCENT": "12.5",
        "SANDBOX_MAIL": "true",
        "STRIPE_API_BASE": stripe.url,
        "STRIPE_SECRET_KEY": KEY,
    }
    with Installation.running(document, servers=2, env=env) as running:
        run(running, "from ledger.payments import upkeep; assert upkeep.keep_connected() == 0")
        hook = {"url": "https://hooks.example.com/", "events": ["paywall.balance.charge.completed"]}
        assert ask(running, "POST", "webhooks/subscriptions", json=hook).status_code < 300
        yield running


@pytest.fixture(autouse=True)
def _books_sum(site: Installation) -> Iterator[None]:
    yield
    proven = site.manage("verify_ledger")
    assert proven.returncode == 0, proven.stdout


def run(site: Installation, code: str) -> None:
    done = site.manage("shell", "-c", code)
    assert done.returncode == 0, done.stderr


def ask(site: Installation, method: str, path: str, server: int = 0, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {site.key}"}
    return requests.request(method, f"{site.url(server)}/v1/{path}", headers=headers, timeout=20, **more)


def answer(site: Installation, user: str, server: int = 0) -> Any:
    """The raw body of a chat completion."""
    body = {"model": "sandbox/echo", "messages": HELLO, "user": user}
    return ask(site, "POST", "chat/completions", server, json=body).json()


def connect(site: Installation, user: str, email: str) -> Visitor:
    """The user's wallet, connected on the hosted pages."""
    person = Visitor()
    person.sign_in(site.url(), email)
    link = ask(site, "GET", f"user/connect?user={user}").json()["url"]
    assert "is connected" in person.send(link, answer="approve").text
    return person


def fill(site: Installation, stripe: FakeStripe, person: Visitor, link: str, dollars: str) -> None:
    """Pay at Stripe, and come back before any webhook was processed."""
    before = set(stripe.objects)
    person.send(link, amount="other", other=dollars)
    [session] = [row for row in stripe.all("checkout.session") if row["id"] not in before]
    stripe.pay(session["id"])
    # A page asks no more often than every two seconds, and the session was just made.
    site.sql("UPDATE ledger_stripecheckout SET checked_at = checked_at - interval '1 minute'")
    assert "added" in person.open(session["success_url"]).text


def test_connected_filled_charged_to_the_nano_and_paid_out(site: Installation, stripe: FakeStripe) -> None:
    assert ask(site, "GET", "user/connect?user=ann").json()["connected"] is False
    assert [item["key"] for item in ask(site, "GET", "user/menu?user=ann").json()["items"]] == ["connect"]
    refused = ask(site, "POST", "user/balance/deposit", json={"user": "ann", "amount": "5"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "wrong_mode"), refused.text

    person = connect(site, "ann", "ann@home.test")
    assert ask(site, "GET", "user/connect?user=ann").json()["connectedUser"]["externalUserId"] == "ann"
    items = ask(site, "GET", "user/menu?user=ann").json()["items"]
    assert [item["key"] for item in items] == ["topup", "wallet"]
    assert items[0]["url"] in answer(site, "ann", 1)["choices"][0]["message"]["content"]
    fill(site, stripe, person, items[0]["url"], "7.50")
    [payment] = site.sql(
        "SELECT a.paywall_id, p.credited FROM ledger_stripepayment p JOIN ledger_stripeaccount a ON a.id = p.account_id"
    )
    assert payment == {"paywall_id": None, "credited": 7_500_000_000}

    plain = answer(site, "ann", 1)["usage"]
    streamed = list(
        site.client(1).chat.completions.create(
            model="sandbox/echo",
            user="ann",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
    )[-1].usage
    assert streamed
    used = [
        (plain["prompt_tokens"], plain["completion_tokens"]),
        (streamed.prompt_tokens, streamed.completion_tokens),
    ]
    splits = site.sql("SELECT amount, provider_cost, platform_fee, earned FROM ledger_split ORDER BY 1")
    wanted = []
    for prompt, completion in sorted(used):
        amount = 10_000_007 + prompt * 1_001 + completion * 2_003
        cost = 3_000_000 + prompt * 501 + completion * 1_007
        fee = -(-amount * 125 // 1000)
        wanted.append(
            {
                "amount": amount,
                "provider_cost": cost,
                "platform_fee": fee,
                "earned": amount - cost - fee,
            }
        )
    assert splits == wanted
    spent = sum(split["amount"] for split in splits)
    assert ask(site, "GET", "user/balance?user=ann").json()["balance"] == str(7_500_000_000 - spent)

    earned = sum(split["earned"] for split in splits)
    earnings = ask(site, "GET", "paywall/withdrawals").json()
    assert earnings["available"] == f"0.{earned:09d}".rstrip("0")
    events = [
        json.loads(bytes(row["body"])) for row in site.sql("SELECT body FROM webhooks_event ORDER BY id")
    ]
    assert [event["type"] for event in events] == ["paywall.balance.charge.completed"] * 2
    [settlement] = {event["data"]["settlementReference"] for event in events}
    assert settlement

    too_much = ask(site, "POST", "paywall/withdrawals", json={"amount": "1"})
    assert too_much.json()["error"]["code"] == "insufficient_earnings"
    key = {"Idempotency-Key": uuid.uuid4().hex, "Authorization": f"Bearer {site.key}"}
    url, body = f"{site.url(1)}/v1/paywall/withdrawals", {"amount": earnings["available"]}
    first, again = [requests.post(url, json=body, headers=key, timeout=20).json() for _ in range(2)]
    assert (first["state"], again) == ("requested", first)
    run(
        site,
        "from ledger import services; from ledger.models import Withdrawal\n"
        "services.approve_withdrawal(Withdrawal.objects.get())\n"
        "services.mark_paid(Withdrawal.objects.get(), 'SEPA 17')",
    )
    left = ask(site, "GET", "paywall/withdrawals").json()
    assert left["available"] == "0"
    assert [(row["state"], row["reference"]) for row in left["withdrawals"]] == [("paid", "SEPA 17")]


def test_what_a_user_writes_puts_no_link_into_the_answer(site: Installation) -> None:
    evil = "https://evil.example.com/t/pay {{ url }}"
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": evil}], "user": evil}
    refused = ask(site, "POST", "chat/completions", json=body).json()
    text = refused["choices"][0]["message"]["content"]
    assert re.findall(r"\S+://\S+", text) == [refused["paywall"]["url"]]
    assert refused["paywall"]["url"].startswith(f"{site.url()}/c/")


def test_who_disconnects_at_one_server_is_refused_by_the_other_on_the_very_next_request(
    site: Installation, stripe: FakeStripe
) -> None:
    person = connect(site, "bob", "bob@home.test")
    fill(site, stripe, person, ask(site, "GET", "user/balance/topup?user=bob").json()["url"], "5")
    for _ in range(3):  # until the other server surely remembers whose wallet pays
        assert "paywall" not in answer(site, "bob", 1)
    assert ask(site, "POST", "user/disconnect", json={"user": "bob"}).json()["success"] is True
    refused = answer(site, "bob", 1)
    assert refused["paywall"]["decision"] == "authorization_required"
    assert "/c/" in refused["paywall"]["url"]
    again = ask(site, "GET", "user/disconnect?user=bob").json()
    assert again["success"] is False
    frames = site.client(1).chat.completions.create(
        model="sandbox/echo", user="bob", messages=HELLO, stream=True
    )
    told = "".join(frame.choices[0].delta.content or "" for frame in frames if frame.choices)
    assert refused["paywall"]["url"] in told
