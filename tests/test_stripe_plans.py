"""Plans: a subscription at Stripe grants credit once for each paid invoice."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from config.money import NANO
from ledger.models import Lot, PlanSubscription, StripeEvent, StripePayment
from ledger.payments import plans, upkeep
from ledger.verification import RULES
from paywalls import offers
from paywalls.errors import InvalidSetting
from paywalls.models import Plan
from tests.fake_stripe import FakeStripe
from tests.payments import Shop, broken_rules, by_client, open_shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(settings: Any, db: None) -> Iterator[Shop]:
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        yield open_shop(stripe)
        assert broken_rules(RULES) == []


def sell(shop: Shop, *, rolls_over: bool = False, **price: Any) -> Plan:
    """A plan of $20 a month for $25 of credit."""
    plan = offers.configure_plan(
        shop.paywall,
        {
            "name": "Pro",
            "price_id": shop.stripe.add_price(**price),
            "credit": 25 * NANO,
            "rolls_over": rolls_over,
            "is_active": True,
        },
    )
    plans.refresh(plan, shop.account)
    return plan


def test_subscribing_grants_the_first_cycle_that_ends_with_it(shop: Shop) -> None:
    plan = sell(shop)
    assert "$20.00 a month" in Client().get(shop.path).content.decode()
    shop.stripe.pay(shop.subscribe(plan))
    shop.process()
    assert shop.balance == 25 * NANO
    row = PlanSubscription.objects.get()
    assert Lot.objects.get().expires_at == row.cycle_ends_at + plans.RENEWAL_MARGIN
    assert (StripePayment.objects.get().amount, StripePayment.objects.get().kind) == (20 * NANO, "invoice")
    assert "Your plan is Pro" in Client().get(shop.path).content.decode()


def test_each_invoice_grants_once(shop: Shop) -> None:
    shop.stripe.pay(shop.subscribe(sell(shop, rolls_over=True)))
    shop.process()
    subscription = PlanSubscription.objects.get().subscription_id
    shop.stripe.renew(subscription)
    shop.stripe.send(shop.stripe.events[-1])
    shop.stripe.tell("invoice.paid", shop.stripe.all("invoice")[-1])
    shop.process()
    assert shop.balance == 50 * NANO
    assert set(Lot.objects.values_list("expires_at", flat=True)) == {None}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_invoice_may_come_before_the_session(shop: Shop, order: tuple[int, int]) -> None:
    shop.stripe.deliver = False
    shop.stripe.pay(shop.subscribe(sell(shop)))
    told = shop.stripe.events[-2:]
    assert [event["type"] for event in told] == ["invoice.paid", "checkout.session.completed"]
    for index in order:
        shop.stripe.send(told[index])
        shop.process()
    assert shop.balance == 25 * NANO


@pytest.mark.parametrize(
    "wrong", [{"total": 1}, {"currency": "eur"}, {"customer": "cus_other"}, {"lines": {"data": []}}]
)
def test_an_invoice_that_is_not_what_the_plan_sells_waits_for_an_operator(
    shop: Shop, wrong: dict[str, Any]
) -> None:
    shop.stripe.pay(shop.subscribe(sell(shop)))
    shop.process()
    shop.stripe.renew(PlanSubscription.objects.get().subscription_id, **wrong)
    shop.process()
    assert shop.balance == 25 * NANO
    failed = StripeEvent.objects.get(state="failed")
    assert "nothing was granted" in failed.error


def test_an_invoice_that_begins_no_cycle_grants_nothing(shop: Shop) -> None:
    shop.stripe.pay(shop.subscribe(sell(shop)))
    shop.process()
    shop.stripe.renew(PlanSubscription.objects.get().subscription_id, billing_reason="subscription_update")
    shop.process()
    assert shop.balance == 25 * NANO


def test_a_refunded_cycle_takes_its_part_of_the_credit(shop: Shop) -> None:
    shop.stripe.pay(shop.subscribe(sell(shop)))
    shop.process()
    shop.stripe.refund(StripePayment.objects.get().payment_intent, 1000)
    shop.process()
    assert shop.balance == 12_500_000_000


def test_a_plan_is_ended_by_its_end_user(shop: Shop) -> None:
    shop.stripe.pay(shop.subscribe(sell(shop)))
    shop.process()
    assert shop.press("cancel_plan").status_code == 302
    assert PlanSubscription.objects.get().ends_with_cycle
    assert "Your plan Pro ends on" in Client().get(shop.path).content.decode()


def test_one_plan_at_a_time(shop: Shop) -> None:
    plan = sell(shop)
    shop.stripe.pay(shop.subscribe(plan))
    shop.process()
    made = len(shop.stripe.all("checkout.session"))
    shop.press("subscribe", plan=plan.pk.hex)
    assert len(shop.stripe.all("checkout.session")) == made


@pytest.mark.parametrize(
    ("price", "why"),
    [
        ({"recurring": None}, "paid once"),
        ({"currency": "eur"}, "US dollars"),
        ({"active": False}, "not active"),
        ({"livemode": True}, "other mode"),
        ({"unit_amount": None}, "fixed amount"),
    ],
)
def test_a_price_that_does_not_fit_is_not_offered(shop: Shop, price: dict[str, Any], why: str) -> None:
    plan = sell(shop, **price)
    assert why in plan.fault
    assert plans.offered(shop.paywall) == []


def test_a_price_that_stripe_does_not_have(shop: Shop) -> None:
    plan = sell(shop)
    Plan.objects.update(price_id="price_gone")
    plan.refresh_from_db()
    assert "has no price" in plans.refresh(plan, shop.account)


def test_a_price_that_was_archived_at_stripe_is_not_offered_a_day_later(shop: Shop) -> None:
    plan = sell(shop)
    shop.stripe.objects[plan.price_id]["active"] = False
    upkeep.keep_connected()
    plan.refresh_from_db()
    assert plan.is_offered
    Plan.objects.update(checked_at=timezone.now() - timedelta(days=1, seconds=1))
    upkeep.keep_connected()
    plan.refresh_from_db()
    assert not plan.is_offered


def test_a_plan_with_subscribers_keeps_its_price(shop: Shop) -> None:
    shop.stripe.pay(shop.subscribe(sell(shop)))
    shop.process()
    with pytest.raises(InvalidSetting, match="another plan"):
        sell(shop)


def test_what_is_left_of_a_cycle_expires(shop: Shop) -> None:
    shop.stripe.pay(shop.subscribe(sell(shop)))
    shop.process()
    row = PlanSubscription.objects.get()
    assert Lot.objects.get().expires_at - row.cycle_ends_at < timedelta(days=1)
