"""Paying at Stripe: from the button to the credit, whatever is lost, repeated, late or forged on the way."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from config import secrets
from config.money import NANO
from ledger import topups
from ledger.models import OperatorAlert, StripeAccount, StripeCheckout, StripeEvent, StripePayment, Transfer
from ledger.payments import checkout, incoming
from ledger.verification import verify
from paywalls.errors import InvalidSetting
from tests.fake_stripe import FakeStripe, shown, sign
from tests.payments import Shop, by_client, open_shop
from tests.threads import in_threads
from webhooks import services as webhooks
from webhooks.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(settings: Any, db: None) -> Iterator[Shop]:
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        yield open_shop(stripe)


def deposits() -> list[int]:
    return list(Transfer.objects.filter(kind="deposit").order_by("id").values_list("amount", flat=True))


def hook(shop: Shop, body: bytes, signature: str) -> Any:
    path = f"/stripe/webhooks/{shop.account.public_id}"
    return Client().post(path, body, content_type="application/json", headers={"Stripe-Signature": signature})


class TestTheWayThere:
    def test_a_session_is_made_when_the_button_is_pressed_and_says_whose_it_is(self, shop: Shop) -> None:
        session_id = shop.checkout("25")
        [request] = [r for r in shop.stripe.sent("POST", "/v1/checkout/sessions") if "line_items" in r.params]
        row = StripeCheckout.objects.get()
        price = request.params["line_items"][0]["price_data"]
        assert (price["unit_amount"], price["currency"]) == ("2500", "usd")
        assert request.idempotency_key == f"tollgate-checkout-{row.pk.hex}"
        assert request.params["metadata"] == {
            "tollgate_checkout": row.pk.hex,
            "paywall": shop.paywall.public_id,
            "user": shop.alice.public_id,
            "link": shop.link().public_id,
        }
        assert request.params["payment_intent_data"]["metadata"] == request.params["metadata"]
        assert request.params["success_url"].endswith(f"{shop.path}?checkout={row.pk.hex}")
        assert row.session_id == session_id

    def test_the_browser_is_led_to_stripe_by_a_page_of_ours(self, shop: Shop) -> None:
        answer = shop.press(amount="10")
        page = Client().get(answer["Location"])
        url = StripeCheckout.objects.get().url
        assert f'content="0; url={url}"' in page.content.decode()
        assert "form-action 'self';" in page["Content-Security-Policy"]

    def test_only_one_session_of_a_link_is_open(self, shop: Shop) -> None:
        first, second = shop.checkout("10"), shop.checkout("25")
        assert shop.stripe.objects[first]["status"] == "expired"
        assert shop.stripe.objects[second]["status"] == "open"

    def test_a_session_that_was_paid_meanwhile_is_credited_and_not_replaced(self, shop: Shop) -> None:
        shop.stripe.deliver = False
        shop.stripe.pay(shop.checkout("10"))
        path = shop.path
        Client().post(path, {"amount": "25"})
        assert shop.balance == 10 * NANO

    def test_stripe_down_says_so_and_charges_nothing(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda *_: 0)
        shop.stripe.trouble = lambda request: (500, b"{}")
        answer = shop.press(amount="10")
        assert answer.status_code == 502
        assert b"Nothing was charged" in answer.content
        assert StripeCheckout.objects.get().state == "failed"

    @pytest.mark.parametrize("amount", ["0.5", "501", "ten", "other"])
    def test_other_amounts_are_refused(self, shop: Shop, amount: str) -> None:
        assert shop.press(amount=amount).status_code == 422
        assert not StripeCheckout.objects.exists()

    def test_the_paywalls_own_amounts(self, shop: Shop) -> None:
        shop.paywall.topup_minimum, shop.paywall.topup_maximum = 3 * NANO, 7 * NANO
        shop.paywall.topup_presets = [3 * NANO, 6_500_000_000]
        shop.paywall.save()
        text = Client().get(shop.path).content.decode()
        assert "$6.50" in text
        assert "from $3 to $7" in text
        assert shop.press(amount="10").status_code == 422
        shop.checkout("6.5")


class TestTheCredit:
    def test_the_webhook_credits_once_and_tells(self, shop: Shop) -> None:
        webhooks.create(shop.paywall.pk, url="https://example.com/hook", events=["*"])
        session_id = shop.checkout("25")
        shop.stripe.pay(session_id)
        assert shop.balance == 0
        shop.process()
        assert (shop.balance, deposits()) == (25 * NANO, [25 * NANO])
        assert StripePayment.objects.get().object_id == session_id
        assert Transfer.objects.get().debit_account.kind == "stripe"
        told = {event.type: event.content["data"] for event in Event.objects.all()}
        completed = told["paywall.stripe.checkout.session.completed"]
        assert (completed["checkoutSessionId"], completed["amount"]) == (session_id, 25)
        assert told["paywall.balance.deposit.created"]["source"] == "stripe"

    def test_the_same_event_twice(self, shop: Shop) -> None:
        session_id = shop.checkout()
        shop.stripe.pay(session_id)
        assert shop.stripe.send(shop.stripe.events[-1]) == [200]
        shop.process()
        assert shop.stripe.send(shop.stripe.events[-1]) == [200]
        assert (shop.process(), deposits()) == (0, [10 * NANO])
        assert StripeEvent.objects.count() == 1

    def test_what_was_seen_but_not_credited_is_credited_by_the_next_try(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.stripe.pay(shop.checkout())
        with monkeypatch.context() as patch:
            patch.setattr(checkout, "credit", lambda *_, **__: 1 / 0)
            shop.process()
        event = StripeEvent.objects.get()
        assert (event.state, event.attempts) == ("waiting", 1)
        assert "ZeroDivisionError" in event.error
        assert deposits() == []
        StripeEvent.objects.update(next_attempt_at=timezone.now())
        shop.process()
        assert (StripeEvent.objects.get().state, deposits()) == ("processed", [10 * NANO])

    def test_completed_before_the_money_and_the_money_later(self, shop: Shop) -> None:
        session_id = shop.checkout()
        shop.stripe.pay(session_id, later=True)
        shop.process()
        assert (StripeCheckout.objects.get().state, shop.balance) == ("processing", 0)
        shop.stripe.arrive(session_id)
        shop.process()
        assert (StripeCheckout.objects.get().state, deposits()) == ("done", [10 * NANO])

    def test_the_money_event_before_completed(self, shop: Shop) -> None:
        session_id = shop.checkout()
        shop.stripe.deliver = False
        shop.stripe.pay(session_id, later=True)
        shop.stripe.arrive(session_id)
        for event in reversed(shop.stripe.events):
            shop.stripe.send(event)
        shop.process()
        assert deposits() == [10 * NANO]

    def test_money_that_never_comes(self, shop: Shop) -> None:
        session_id = shop.checkout()
        shop.stripe.pay(session_id, later=True)
        shop.process()
        shop.stripe.bounce(session_id)
        shop.process()
        assert (StripeCheckout.objects.get().state, deposits()) == ("failed", [])

    def test_the_redirect_before_the_webhook_credits_and_the_webhook_adds_nothing(self, shop: Shop) -> None:
        path = shop.path
        session_id = shop.checkout()
        row = StripeCheckout.objects.get()
        StripeCheckout.objects.update(checked_at=timezone.now() - timedelta(minutes=1))
        shop.stripe.pay(session_id)
        page = Client().get(f"{path}?checkout={row.pk.hex}", follow=True)
        assert "$10.00 added" in page.content.decode()
        shop.process()
        assert deposits() == [10 * NANO]

    def test_a_webhook_that_is_lost_is_made_up_for(self, shop: Shop) -> None:
        shop.stripe.deliver = False
        shop.stripe.pay(shop.checkout())
        assert checkout.poll() == 0
        StripeCheckout.objects.update(checked_at=timezone.now() - timedelta(hours=1))
        assert checkout.poll() == 1
        assert deposits() == [10 * NANO]

    def test_events_that_no_webhook_brought_are_asked_for(self, shop: Shop) -> None:
        shop.stripe.deliver = False
        shop.stripe.pay(shop.checkout())
        StripeAccount.objects.update(events_read_until=timezone.now() - timedelta(hours=1))
        assert incoming.read_missed() == 1
        assert incoming.read_missed() == 0
        shop.process()
        assert deposits() == [10 * NANO]

    def test_the_answer_of_stripe_was_lost_but_its_event_came(self, shop: Shop) -> None:
        session_id = shop.checkout()
        StripeCheckout.objects.update(session_id=None, state="made")
        shop.stripe.pay(session_id)
        shop.process()
        assert deposits() == [10 * NANO]


class TestWhatIsNotBelieved:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"amount_total": 9900},
            {"currency": "eur"},
            {"client_reference_id": "0" * 32},
            {"livemode": True},
            {"mode": "setup"},
        ],
    )
    def test_a_session_that_differs_from_what_was_asked_is_not_credited(
        self, shop: Shop, wrong: dict[str, Any]
    ) -> None:
        shop.stripe.pay(shop.checkout(), **wrong)
        shop.process()
        row = StripeCheckout.objects.get()
        assert (row.state, deposits()) == ("mismatch", [])
        assert next(iter(wrong)) in row.error
        assert OperatorAlert.objects.get().kind == "payments"

    @pytest.mark.parametrize("name", ["paywall", "user", "link"])
    def test_a_session_of_somebody_else(self, shop: Shop, name: str) -> None:
        session_id = shop.checkout()
        shop.stripe.objects[session_id]["metadata"][name] = "usr_mallory"
        shop.stripe.pay(session_id)
        shop.process()
        assert (StripeCheckout.objects.get().state, deposits()) == ("mismatch", [])

    def test_a_session_that_another_system_made_is_nobodys(self, shop: Shop) -> None:
        session_id = shop.checkout()
        other = {**shop.stripe.objects[session_id], "id": "cs_other", "payment_status": "paid"}
        shop.stripe.objects["cs_other"] = other
        shop.stripe.tell("checkout.session.completed", other)
        shop.process()
        assert (StripeEvent.objects.get().state, deposits()) == ("ignored", [])

    def test_a_signed_event_that_lies_about_a_payment_is_checked_at_stripe(self, shop: Shop) -> None:
        session_id = shop.checkout()
        lie = {**shop.stripe.objects[session_id], "status": "complete", "payment_status": "paid"}
        shop.stripe.tell("checkout.session.completed", lie)
        shop.process()
        assert (StripeCheckout.objects.get().state, deposits()) == ("open", [])

    def test_forged_old_and_unsigned_events(self, shop: Shop) -> None:
        shop.stripe.deliver = False
        shop.stripe.pay(shop.checkout())
        body = json.dumps(shown(shop.stripe.events[-1])).encode()
        [endpoint] = shop.stripe.all("webhook_endpoint")
        secret = endpoint["_secret"]
        now = timezone.now().timestamp()
        for signature in (
            "",
            "nonsense",
            sign(body, "whsec_mallory"),
            sign(body, ""),
            sign(body, secret, now - 3600),
            sign(body + b" ", secret),
        ):
            assert hook(shop, body, signature).status_code == 400
        assert hook(shop, b"[]", sign(b"[]", secret)).status_code == 400
        assert not StripeEvent.objects.exists()
        assert hook(shop, body, sign(body, secret)).status_code == 200

    def test_an_unset_secret_refuses_everything(self, shop: Shop) -> None:
        StripeAccount.objects.update(webhook_secret="", endpoint_id="")
        body = b'{"object":"event","id":"evt_1","type":"invoice.paid","livemode":false,"data":{"object":{}}}'
        for secret in ("", secrets.encrypt(""), "None"):
            assert hook(shop, body, sign(body, secret)).status_code == 400
        assert not StripeEvent.objects.exists()

    def test_an_event_of_the_other_mode(self, shop: Shop) -> None:
        [endpoint] = shop.stripe.all("webhook_endpoint")
        event = {
            "object": "event",
            "id": "evt_1",
            "type": "invoice.paid",
            "livemode": True,
            "data": {"object": {}},
        }
        assert (
            hook(
                shop, json.dumps(event).encode(), sign(json.dumps(event).encode(), endpoint["_secret"])
            ).status_code
            == 400
        )

    def test_an_endpoint_that_is_not_there(self, shop: Shop) -> None:
        for name in ("sac_" + "0" * 32, "nonsense"):
            assert (
                Client().post(f"/stripe/webhooks/{name}", b"{}", content_type="application/json").status_code
                == 404
            )


class TestThePageAfterwards:
    def test_it_waits_by_script_or_refresh_within_its_policy(self, shop: Shop) -> None:
        path = shop.path
        shop.checkout()
        row = StripeCheckout.objects.get()
        page = Client().get(f"{path}?checkout={row.pk.hex}")
        text = page.content.decode()
        assert "Waiting for your payment" in text
        assert '<noscript><meta http-equiv="refresh"' in text
        assert "script-src 'self'; connect-src 'self'" in page["Content-Security-Policy"]
        assert Client().get("/static/topup.js").status_code == 200
        status = Client().get(f"{path}/status?checkout={row.pk.hex}")
        assert (status.status_code, status.json()) == (200, {"state": "open"})

    def test_it_asks_stripe_no_more_often_than_every_two_seconds(self, shop: Shop) -> None:
        path = shop.path
        shop.checkout()
        row = StripeCheckout.objects.get()
        StripeCheckout.objects.update(checked_at=timezone.now() - timedelta(minutes=1))
        for _ in range(5):
            Client().get(f"{path}/status?checkout={row.pk.hex}")
        assert len(shop.stripe.sent("GET", "/v1/checkout/sessions/.*")) == 1

    def test_a_checkout_of_another_link_is_not_told_of(self, shop: Shop) -> None:
        shop.checkout()
        row = StripeCheckout.objects.get()
        shop.stripe.pay(str(row.session_id))
        shop.process()
        other = shop.path
        assert Client().get(f"{other}/status?checkout={row.pk.hex}").status_code == 404
        assert Client().get(f"/t/forged/status?checkout={row.pk.hex}").status_code == 404

    def test_the_app_that_the_paywall_allows_is_gone_back_to(self, shop: Shop) -> None:
        shop.paywall.return_origins = ["https://app.example.com"]
        shop.paywall.save()
        shop.alice.refresh_from_db()
        for bad in (
            "https://evil.example.com/x",
            "https://app.example.com.evil.com/",
            "https://app.example.com@evil.com/",
            "javascript:alert(1)",
            "https://app.example.com\\@evil.com",
            "//app.example.com/",
        ):
            with pytest.raises(InvalidSetting):
                topups.link_for(shop.alice, bad)
        url = topups.link_for(shop.alice, "https://app.example.com/chat?id=1")
        path = url[url.index("/t/") :]
        answer = Client().post(path, {"amount": "10"})
        row = StripeCheckout.objects.get(pk=answer["Location"].rpartition("go=")[2])
        shop.stripe.pay(str(row.session_id))
        shop.process()
        assert 'href="https://app.example.com/chat?id=1"' in Client().get(path).content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_events_of_one_session_at_once_in_threads_beside_the_waiting_page(
    live_server: Any, settings: Any
) -> None:
    with FakeStripe() as stripe:
        settings.PUBLIC_URL, settings.STRIPE_API_BASE = live_server.url, stripe.url
        shop = open_shop(stripe)
        session_id = shop.checkout()
        shop.stripe.deliver = False
        session = shop.stripe.pay(session_id)
        for _ in range(7):
            shop.stripe.tell("checkout.session.completed", session)
        for event in shop.stripe.events:
            shop.stripe.send(event)
        row = StripeCheckout.objects.get()
        in_threads(8, lambda index: shop.process() if index else checkout.settle(row))
        assert deposits() == [10 * NANO]
        assert set(StripeEvent.objects.values_list("state", flat=True)) == {"processed"}
        assert StripeEvent.objects.count() == 8
    assert list(verify()) == []
