"""The operators' site: Stripe connected, rotated and let go of, plans sold, stored events tried again."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.money import NANO
from ledger.models import StripeAccount, StripeEvent
from ledger.payments import plans, upkeep
from paywalls.models import Membership, Paywall, Plan
from paywalls.roles import Role
from tests.factories import make_paywall, make_tenant
from tests.fake_stripe import KEY, FakeStripe
from tests.payments import Shop, by_client, open_shop

pytestmark = pytest.mark.django_db

CONNECT = reverse("admin:ledger_stripeaccount_connect")
EVENTS = reverse("admin:ledger_stripeevent_changelist")
NEW_PLAN = reverse("admin:paywalls_plan_add")


@pytest.fixture
def stripe(settings: Any, db: None) -> Iterator[FakeStripe]:
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        yield stripe


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def press(operator: Client, page: str, **fields: str) -> str:
    """A form is sent; the page that it leads to."""
    return operator.post(page, fields, follow=True).content.decode()


def of(row: Model, verb: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{verb}", args=[row.pk])


def logged() -> list[str]:
    return list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))


class TestConnecting:
    def test_a_key_that_stripe_takes(self, operator: Client, stripe: FakeStripe) -> None:
        paywall = make_paywall(name="Acme Chat")
        said = press(operator, CONNECT, paywall=str(paywall.pk), secret_key=KEY)
        account = StripeAccount.objects.get(paywall=paywall)
        assert f"{account} is connected." in said
        assert (account.connected_by, len(stripe.all("webhook_endpoint"))) == ("ada", 1)
        assert KEY not in said
        assert "Connected." in logged()[0]

    def test_a_key_that_it_does_not(self, operator: Client, stripe: FakeStripe) -> None:
        paywall = make_paywall()
        said = press(operator, CONNECT, paywall=str(paywall.pk), secret_key="rk_test_wrong")
        assert "This key" in said
        assert "rk_test_wrong" not in said
        assert not StripeAccount.objects.exists()
        assert logged() == []

    def test_only_paywalls_with_an_account_of_their_own_are_offered(self, operator: Client) -> None:
        make_paywall(name="Own Money")
        shared = make_paywall(name="Shared Money", mode="shared")
        form = operator.get(CONNECT).content.decode()
        assert ("Own Money" in form, "Shared Money" in form) == (True, False)
        press(operator, CONNECT, paywall=str(shared.pk), secret_key=KEY)
        assert not StripeAccount.objects.exists()

    def test_a_developer_connects_their_own_and_nobody_elses(
        self, client: Client, stripe: FakeStripe
    ) -> None:
        mine, theirs = make_paywall(make_tenant()), make_paywall(make_tenant())
        developer = User.objects.create(username="dev", is_staff=True)
        Membership.objects.create(user=developer, tenant=mine.tenant, role=Role.DEVELOPER)
        client.force_login(developer)
        press(client, CONNECT, paywall=str(theirs.pk), secret_key=KEY)
        assert not StripeAccount.objects.exists()
        press(client, CONNECT, paywall=str(mine.pk), secret_key=KEY)
        assert StripeAccount.objects.get().paywall == mine


class TestAConnection:
    @pytest.fixture
    def shop(self, stripe: FakeStripe) -> Shop:
        return open_shop(stripe)

    def test_rotated_after_it_is_confirmed(self, operator: Client, shop: Shop) -> None:
        page = of(shop.account, "rotate")
        assert "Rotate the signing secret?" in operator.get(page).content.decode()
        assert len(shop.stripe.all("webhook_endpoint")) == 1
        assert "Done." in press(operator, page, confirmed="yes")
        assert len(shop.stripe.all("webhook_endpoint")) == 2
        shop.account.refresh_from_db()
        assert shop.account.previous_endpoint_id
        assert "Rotate the signing secret." in logged()[0]

    def test_disconnected_once_nobody_is_paying(self, operator: Client, shop: Shop) -> None:
        page = of(shop.account, "disconnect")
        session = shop.checkout()
        assert "1 checkouts are under way" in press(operator, page, confirmed="yes")
        shop.stripe.pay(session)
        shop.process()
        assert "Done." in press(operator, page, confirmed="yes")
        shop.account.refresh_from_db()
        assert shop.account.disconnected_at
        assert shop.stripe.all("webhook_endpoint") == []
        assert Paywall.objects.get().stripe_secret_key == ""
        assert len(logged()) == 1

    def test_stripe_away_is_said_and_nothing_changed(
        self, operator: Client, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stripe._http_client.HTTPClient._sleep_time_seconds", lambda *_: 0)
        shop.stripe.trouble = lambda request: (503, b'{"error": {"message": "Down for a minute."}}')
        assert "Down for a minute." in press(operator, of(shop.account, "rotate"), confirmed="yes")
        shop.account.refresh_from_db()
        assert shop.account.previous_endpoint_id == ""
        assert logged() == []

    def test_a_plan_is_sold_and_changed(
        self,
        operator: Client,
        shop: Shop,
        monkeypatch: pytest.MonkeyPatch,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        monkeypatch.setattr(
            "ledger.payments.upkeep.current_app.send_task", lambda name, **_: told.append(name)
        )
        told: list[str] = []
        price = shop.stripe.add_price(2000)
        form = {
            "paywall": str(shop.paywall.pk),
            "name": "Pro",
            "price_id": price,
            "credit": "25",
            "rolls_over": "on",
            "is_active": "on",
        }
        refused = press(operator, NEW_PLAN, **{**form, "price_id": "20 dollars", "credit": "-1"})
        assert not Plan.objects.exists()
        assert refused.count("errorlist") >= 2 or refused.count("text-red-600") >= 2
        with django_capture_on_commit_callbacks(execute=True):
            press(operator, NEW_PLAN, **form)
        plan = Plan.objects.get()
        assert (plan.name, plan.price_id, plan.credit, plan.rolls_over) == ("Pro", price, 25 * NANO, True)
        # A worker asks for its price at once; then it is offered.
        assert told == [upkeep.TASK]
        assert plans.offered(shop.paywall) == []
        upkeep.keep_connected()
        assert [offer.amount for offer in plans.offered(shop.paywall)] == [20 * NANO]

        press(operator, of(plan, "change"), price_id=price, credit="30", is_active="on")
        plan.refresh_from_db()
        assert (plan.credit, plan.rolls_over, plan.is_active) == (30 * NANO, False, True)

    def test_an_event_that_failed_is_tried_again(self, operator: Client, shop: Shop) -> None:
        shop.stripe.trouble = lambda request: (400, b"{}") if request.method == "GET" else None
        session = shop.checkout()
        shop.stripe.pay(session)
        shop.process()
        StripeEvent.objects.update(
            state=StripeEvent.State.FAILED, next_attempt_at=timezone.now() + timedelta(1)
        )
        event = StripeEvent.objects.get(type="checkout.session.completed")
        assert event.error
        listed = operator.get(EVENTS, {"state__exact": "failed"}).content.decode()
        assert event.event_id in listed
        shop.stripe.trouble = lambda request: None
        chosen = {"action": "retry", "_selected_action": str(event.pk)}
        assert "They are processed again." in press(operator, EVENTS, **chosen)
        assert shop.process() == 1
        event.refresh_from_db()
        assert (event.state, event.error, shop.balance) == ("processed", "", 10 * NANO)
        assert "Retried." in logged()[0]
        # Once more does no harm: the session was credited.
        press(operator, EVENTS, **chosen)
        shop.process()
        assert shop.balance == 10 * NANO
