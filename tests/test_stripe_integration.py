"""Connecting Stripe: keys that are verified, rights that are named, our endpoint there, its rotation, the way out."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml
from celery import current_app
from celery.signals import worker_ready
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from config import secrets
from ledger.models import StripeAccount
from ledger.payments import accounts, integration, upkeep
from paywalls.errors import InvalidSetting
from paywalls.models import Paywall, Plan
from tests.customer import make_customer, path_of
from tests.factories import make_paywall
from tests.fake_stripe import ALL, KEY, FakeStripe, sign
from tests.installation import DOCUMENT
from tests.payments import Shop, by_client, open_shop
from webhooks import services as webhooks
from webhooks.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def stripe(settings: Any, db: None) -> Iterator[FakeStripe]:
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        yield stripe


def told() -> dict[str, dict[str, Any]]:
    return {event.type: event.content["data"] for event in Event.objects.all()}


def test_a_key_is_verified_kept_encrypted_and_our_endpoint_made(stripe: FakeStripe) -> None:
    paywall = make_paywall()
    webhooks.create(paywall.pk, url="https://example.com/hook", events=["*"])
    account = integration.connect(paywall, KEY, by="admin")
    paywall.refresh_from_db()
    [endpoint] = stripe.all("webhook_endpoint")
    assert KEY not in paywall.stripe_secret_key
    assert secrets.decrypt(paywall.stripe_secret_key) == KEY
    assert secrets.decrypt(account.webhook_secret) == endpoint["_secret"]
    assert endpoint["url"].endswith(f"/stripe/webhooks/{account.public_id}")
    assert endpoint["id"] == account.endpoint_id
    assert told()["paywall.integration.connected"]["integrationKey"] == "stripe"
    assert stripe.all("checkout.session") == stripe.all("customer") == stripe.all("subscription") == []


def test_the_rights_that_are_missing_are_named(stripe: FakeStripe) -> None:
    stripe.keys["rk_test_weak"] = ALL - {"dispute", "webhook", "price"}
    paywall = make_paywall()
    with pytest.raises(InvalidSetting, match=r"Disputes: Read, Prices: Read, Webhook Endpoints: Write"):
        integration.connect(paywall, "rk_test_weak", by="admin")
    stripe.keys["rk_test_blind"] = ALL - {"balance"}
    with pytest.raises(InvalidSetting, match="Balance: Read"):
        integration.connect(paywall, "rk_test_blind", by="admin")
    paywall.refresh_from_db()
    assert (paywall.stripe_secret_key, StripeAccount.objects.count()) == ("", 0)


@pytest.mark.parametrize("key", ["rk_test_unknown", "pk_test_public", "", "whsec_1", "rk_test_\nx"])
def test_what_is_no_key_of_stripes(stripe: FakeStripe, key: str) -> None:
    with pytest.raises(InvalidSetting):
        integration.connect(make_paywall(), key, by="admin")


def test_stripe_away_is_said_and_nothing_kept(stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda *_: 0)
    stripe.trouble = lambda request: (503, b"{}")
    with pytest.raises(InvalidSetting, match="can't be verified now"):
        integration.connect(make_paywall(), KEY, by="admin")
    assert not StripeAccount.objects.exists()


def test_on_ones_own_machine_no_endpoint_is_made(stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.payments.endpoints.stripe_reaches_us", lambda: False)
    account = integration.connect(make_paywall(), KEY, by="admin")
    assert (account.endpoint_id, stripe.all("webhook_endpoint")) == ("", [])


def test_another_key_of_the_same_account_keeps_the_connection(stripe: FakeStripe) -> None:
    paywall = make_paywall()
    first = integration.connect(paywall, KEY, by="admin")
    stripe.keys["rk_test_second"] = ALL
    second = integration.connect(paywall, "rk_test_second", by="admin")
    assert first.pk == second.pk
    assert len(stripe.all("webhook_endpoint")) == 1
    assert accounts.client_of(StripeAccount.objects.select_related("paywall").get())


def test_a_key_of_another_account_is_a_new_connection(stripe: FakeStripe, settings: Any) -> None:
    paywall = make_paywall()
    first = integration.connect(paywall, KEY, by="admin")
    with FakeStripe() as other:
        settings.STRIPE_API_BASE = other.url
        second = integration.connect(paywall, KEY, by="admin")
    first.refresh_from_db()
    assert first.pk != second.pk
    assert (first.disconnected_at is not None, first.webhook_secret) == (True, "")


def test_an_endpoint_that_a_dead_process_left_is_removed(stripe: FakeStripe) -> None:
    paywall = make_paywall()
    account = integration.connect(paywall, KEY, by="admin")
    StripeAccount.objects.update(endpoint_id="", webhook_secret="")
    integration.reconcile(Paywall.objects.get(pk=paywall.pk), by="system")
    account.refresh_from_db()
    assert [row["id"] for row in stripe.all("webhook_endpoint")] == [account.endpoint_id]


class TestRotation:
    def event(self, shop: Shop, number: int, secret: str) -> int:
        body = json.dumps(
            {
                "object": "event",
                "id": f"evt_{number}",
                "type": "invoice.paid",
                "livemode": False,
                "data": {"object": {"id": "in_1"}},
            }
        ).encode()
        return by_client(f"http://x/stripe/webhooks/{shop.account.public_id}", body, sign(body, secret))

    def test_the_old_secret_is_good_for_a_day(self, stripe: FakeStripe) -> None:
        shop = open_shop(stripe)
        webhooks.create(shop.paywall.pk, url="https://example.com/hook", events=["*"])
        [old] = stripe.all("webhook_endpoint")
        integration.rotate(shop.account)
        old, new = stripe.all("webhook_endpoint")
        assert old["_secret"] != new["_secret"]
        assert [self.event(shop, 1, old["_secret"]), self.event(shop, 2, new["_secret"])] == [200, 200]
        assert told()["paywall.integration.stripe.webhook.rotated"]["secretSuffix"] == new["_secret"][-4:]
        assert integration.end_rotations() == 0
        StripeAccount.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
        assert [self.event(shop, 3, old["_secret"]), self.event(shop, 4, new["_secret"])] == [400, 200]
        assert integration.end_rotations() == 1
        assert stripe.all("webhook_endpoint") == [new]

    def test_twice_in_a_day_leaves_two_endpoints(self, stripe: FakeStripe) -> None:
        shop = open_shop(stripe)
        integration.rotate(integration.rotate(shop.account))
        assert len(stripe.all("webhook_endpoint")) == 2


class TestDisconnecting:
    def test_it_removes_the_endpoint_and_the_key(self, stripe: FakeStripe) -> None:
        shop = open_shop(stripe)
        webhooks.create(shop.paywall.pk, url="https://example.com/hook", events=["*"])
        assert integration.disconnect(shop.account, by="admin") == ""
        shop.paywall.refresh_from_db()
        assert (shop.paywall.stripe_secret_key, stripe.all("webhook_endpoint")) == ("", [])
        assert "paywall.integration.disconnected" in told()
        with pytest.raises(accounts.NotConnected):
            accounts.client_of(StripeAccount.objects.select_related("paywall").get())

    def test_not_while_somebody_is_paying(self, stripe: FakeStripe) -> None:
        shop = open_shop(stripe)
        shop.checkout()
        with pytest.raises(integration.StillNeeded, match="1 checkouts"):
            integration.disconnect(shop.account, by="admin")

    def test_a_revoked_key_still_lets_go_and_says_what_is_left(self, stripe: FakeStripe) -> None:
        shop = open_shop(stripe)
        stripe.keys.clear()
        assert "by hand" in integration.disconnect(shop.account, by="admin")


class TestTheInstallationsOwn:
    def test_it_is_connected_from_the_settings_and_serves_shared_paywalls(
        self, stripe: FakeStripe, settings: Any
    ) -> None:
        settings.STRIPE_SECRET_KEY = KEY
        assert upkeep.keep_connected() == 0
        account = StripeAccount.objects.get()
        assert account.paywall is None
        shared = make_paywall(mode="shared")
        assert accounts.account_for(shared) == account
        assert accounts.account_for(make_paywall()) is None
        assert upkeep.keep_connected() == 0
        assert StripeAccount.objects.count() == 1

    def test_a_worker_that_starts_connects_it_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import ledger.tasks  # noqa: F401  (what a worker loads)

        told: list[str] = []
        monkeypatch.setattr(upkeep.current_app, "send_task", lambda name, **_: told.append(name))
        worker_ready.send(sender=None)
        assert told == [upkeep.TASK]
        assert told[0] in current_app.tasks


class TestApply:
    def document(self, stripe: FakeStripe) -> dict[str, Any]:
        paywall = {
            **DOCUMENT["paywalls"][0],
            "stripe": {"secret_key": KEY},
            "topup": {
                "minimum": "2",
                "maximum": "80",
                "presets": ["4", "20"],
                "return_origins": ["https://a.example"],
            },
            "plans": [{"name": "Pro", "price": stripe.add_price(), "credit": "25", "rolls_over": True}],
        }
        return {**DOCUMENT, "paywalls": [paywall]}

    def apply(self, document: dict[str, Any], folder: Any) -> None:
        path = folder / "paywalls.yaml"
        path.write_text(yaml.safe_dump(document))
        call_command("apply", str(path))

    def test_it_connects_and_sells_plans_and_again_changes_nothing(
        self, stripe: FakeStripe, tmp_path: Any
    ) -> None:
        document = self.document(stripe)
        self.apply(document, tmp_path)
        made = StripeAccount.objects.get()
        asked = len(stripe.requests)
        version = Paywall.objects.get(name="Acme Chat").config_version
        self.apply(document, tmp_path)
        assert (StripeAccount.objects.get(), len(stripe.requests)) == (made, asked)
        paywall = Paywall.objects.get(name="Acme Chat")
        assert (paywall.config_version, paywall.topup_presets) == (version, [4 * 10**9, 20 * 10**9])
        assert Plan.objects.get().is_offered

    def test_a_key_that_stripe_refuses_writes_nothing(self, stripe: FakeStripe, tmp_path: Any) -> None:
        document = self.document(stripe)
        document["paywalls"][0]["stripe"] = {"secret_key": "rk_test_unknown"}
        with pytest.raises(CommandError, match="the Stripe key of Acme Chat is not known to Stripe"):
            self.apply(document, tmp_path)
        assert not Paywall.objects.filter(name="Acme Chat").exists()

    @pytest.mark.parametrize(
        ("section", "value", "fault"),
        [
            ("topup", {"minimum": "10", "maximum": "5"}, "topup.maximum"),
            ("topup", {"presets": ["1000"]}, "topup.presets"),
            ("topup", {"minimum": "0.001"}, "whole cents"),
            ("topup", {"return_origins": ["https://a.example/path"]}, "topup.return_origins"),
            ("plans", [{"name": "Pro", "price": "prod_1", "credit": "5"}], "plans[0].price"),
            ("stripe", {"secret": "x"}, 'unknown key "secret"'),
        ],
    )
    def test_faults_are_named(
        self, stripe: FakeStripe, tmp_path: Any, section: str, value: Any, fault: str
    ) -> None:
        document = self.document(stripe)
        document["paywalls"][0][section] = value
        with pytest.raises(CommandError) as refused:
            self.apply(document, tmp_path)
        assert fault in str(refused.value)


def test_without_a_connection_the_page_says_that_payments_are_not_set_up(settings: Any) -> None:
    settings.SANDBOX_CHECKOUT = False
    assert b"Payments are not set up yet" in Client().get(path_of(make_customer())).content
