"""Refunds and disputes: the credit follows what Stripe takes back, also where it is spent."""

from collections.abc import Iterator
from typing import Any

import pytest

from config.money import NANO
from ledger import services
from ledger.models import OperatorAlert, StripePayment, Transfer
from ledger.payments import refunds
from ledger.verification import RULES
from paywalls.users import UserRef
from tests.fake_stripe import FakeStripe
from tests.payments import Shop, broken_rules, by_client, open_shop
from tests.threads import in_threads

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(settings: Any, db: None) -> Iterator[Shop]:
    """Alice has paid $10, of which nothing is spent."""
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        shop = open_shop(stripe)
        shop.session = shop.checkout("10")
        stripe.pay(shop.session)
        shop.process()
        yield shop
        assert broken_rules(RULES) == []


def spend(shop: Shop, amount: int) -> None:
    services.charge(UserRef(shop.paywall.pk, "alice"), amount, source=f"charge:{amount}")


def test_a_refund_takes_its_part_back(paid: Shop) -> None:
    paid.stripe.refund(paid.intent, 400)
    paid.process()
    assert paid.balance == 6 * NANO
    paid.stripe.refund(paid.intent, 600)
    paid.process()
    assert paid.balance == 0
    assert StripePayment.objects.get().reversed == 10 * NANO


def test_a_refund_of_spent_credit_is_an_explicit_debt(paid: Shop) -> None:
    spend(paid, 9 * NANO)
    paid.stripe.refund(paid.intent, 1000)
    paid.process()
    assert paid.balance == -9 * NANO
    assert list(Transfer.objects.order_by("id").values_list("kind", flat=True)) == [
        "deposit",
        "charge",
        "reversal",
    ]


def test_the_same_refund_told_twice(paid: Shop) -> None:
    paid.stripe.refund(paid.intent, 400)
    paid.stripe.send(paid.stripe.events[-1])
    paid.stripe.tell("charge.refunded", paid.stripe.all("charge")[0])
    paid.process()
    assert paid.balance == 6 * NANO


def test_a_refund_that_is_told_before_the_payment(paid: Shop) -> None:
    paid.stripe.deliver = False
    session = paid.checkout("25")
    paid.stripe.pay(session)
    intent = paid.intent_of(session)
    paid.stripe.refund(intent, 2500)
    completed, refunded = paid.stripe.events[-2:]
    paid.stripe.send(refunded)
    paid.process()
    paid.stripe.send(completed)
    paid.process()
    assert paid.balance == 10 * NANO
    assert StripePayment.objects.get(payment_intent=intent).reversed == 25 * NANO


def test_a_dispute_takes_its_amount_and_a_won_one_gives_it_back(paid: Shop) -> None:
    spend(paid, 4 * NANO)
    dispute = paid.stripe.dispute(paid.intent, 1000)
    paid.process()
    assert paid.balance == -4 * NANO
    assert "disputed" in OperatorAlert.objects.get().text
    paid.stripe.close_dispute(dispute, "won")
    paid.process()
    assert (paid.balance, StripePayment.objects.get().disputed) == (6 * NANO, False)


def test_a_lost_dispute_stays_taken(paid: Shop) -> None:
    dispute = paid.stripe.dispute(paid.intent, 1000)
    paid.stripe.close_dispute(dispute, "lost")
    paid.process()
    assert paid.balance == 0


def test_an_inquiry_takes_nothing(paid: Shop) -> None:
    paid.stripe.dispute(paid.intent, 1000, status="warning_needs_response")
    paid.process()
    assert paid.balance == 10 * NANO


def test_a_refund_after_a_won_dispute_takes_what_that_gave_back(paid: Shop) -> None:
    dispute = paid.stripe.dispute(paid.intent, 1000)
    paid.process()
    paid.stripe.close_dispute(dispute, "won")
    paid.process()
    paid.stripe.refund(paid.intent, 700)
    paid.process()
    assert paid.balance == 3 * NANO


def test_a_refund_and_a_dispute_together_take_no_more_than_was_paid(paid: Shop) -> None:
    paid.stripe.refund(paid.intent, 600)
    paid.stripe.dispute(paid.intent, 1000)
    paid.process()
    assert paid.balance == 0


def test_a_refund_of_a_payment_that_is_not_ours_is_nothing(paid: Shop) -> None:
    intent = paid.stripe._intent(500, {}, "cus_other")
    paid.stripe.refund(intent["id"], 500)
    paid.process()
    assert paid.balance == 10 * NANO


@pytest.mark.django_db(transaction=True)
def test_a_refund_seen_by_many_at_once_is_taken_once(settings: Any) -> None:
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        shop = open_shop(stripe)
        stripe.pay(shop.checkout("10"))
        shop.process()
        stripe.deliver = False
        intent = StripePayment.objects.get().payment_intent
        stripe.refund(intent, 400)
        in_threads(6, lambda _: refunds.sync(shop.account, intent))
        assert shop.balance == 6 * NANO
        assert broken_rules(RULES) == []
