"""Auto top-up: with the end user's word, once a crossing, within the month's limit, off when the card fails."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from config.money import NANO
from ledger import services
from ledger.models import (
    AutoCharge,
    AutoTopUp,
    CardRemoval,
    OperatorAlert,
    SavedCard,
    StripePayment,
)
from ledger.payments import attention, autotopup, cards, checkout, integration
from ledger.services import WalletSettings
from ledger.verification import RULES
from paywalls.users import UserRef
from tests.fake_stripe import FakeStripe
from tests.payments import Shop, broken_rules, by_client, open_shop
from tests.threads import in_threads
from webhooks import services as webhooks
from webhooks.models import Event

pytestmark = pytest.mark.django_db

_numbers = iter(range(1_000_000))


def spend(shop: Shop, dollars: int) -> None:
    services.charge(UserRef(shop.paywall.pk, "alice"), dollars * NANO, source=f"spent:{next(_numbers)}")


def begin(stripe: FakeStripe) -> Shop:
    """Alice has $20 and a saved card: below $5 charge $10, at most $30 a month."""
    shop = open_shop(stripe)
    services.deposit(UserRef(shop.paywall.pk, "alice"), 20 * NANO, source="start")
    stripe.pay(shop.setup())
    shop.process()
    stripe.deliver = False
    return shop


@pytest.fixture
def shop(settings: Any, db: None) -> Iterator[Shop]:
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        yield begin(stripe)
        assert broken_rules(RULES) == []


def test_the_card_is_saved_with_what_was_agreed(shop: Shop) -> None:
    card = SavedCard.objects.get()
    assert (card.brand, card.last_four, card.amount, card.month_limit) == (
        "visa",
        "4242",
        10 * NANO,
        30 * NANO,
    )
    text = Client().get(shop.path).content.decode()
    assert "falls below $5.00 we charge $10.00 to visa …4242, at most $30.00 a month" in text


def test_a_crossing_is_charged_once(shop: Shop) -> None:
    spend(shop, 16)
    spend(shop, 1)
    assert AutoCharge.objects.count() == 1
    assert autotopup.pay_due() == 1
    assert autotopup.pay_due() == 0
    assert shop.balance == 13 * NANO
    [request] = shop.stripe.sent("POST", "/v1/payment_intents")[1:]
    assert (request.params["amount"], request.params["off_session"], request.params["confirm"]) == (
        "1000",
        "true",
        "true",
    )
    assert request.idempotency_key == f"tollgate-auto-{AutoCharge.objects.get().pk.hex}"
    assert StripePayment.objects.get().kind == "auto"


def test_the_event_of_the_payment_adds_nothing(shop: Shop) -> None:
    spend(shop, 16)
    autotopup.pay_due()
    for event in shop.stripe.events[-1:]:
        assert event["type"] == "payment_intent.succeeded"
        shop.stripe.send(event)
    shop.process()
    assert shop.balance == 14 * NANO


def test_the_next_crossing_is_the_next_charge_until_the_month_is_full(shop: Shop) -> None:
    for _ in range(4):
        spend(shop, shop.balance // NANO - 3)
        autotopup.pay_due()
    assert [charge.state for charge in AutoCharge.objects.order_by("id")] == [
        "paid",
        "paid",
        "paid",
        "skipped",
    ]
    assert sum(StripePayment.objects.values_list("amount", flat=True)) == 30 * NANO


def test_a_new_month_has_its_own_limit(shop: Shop) -> None:
    for _ in range(3):
        spend(shop, shop.balance // NANO - 3)
        autotopup.pay_due()
    StripePayment.objects.update(created_at=timezone.now() - timedelta(days=32))
    spend(shop, shop.balance // NANO - 3)
    autotopup.pay_due()
    assert AutoCharge.objects.order_by("-id")[0].state == "paid"


def test_an_answer_that_was_lost_is_the_same_payment_when_asked_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend(shop, 16)
    with monkeypatch.context() as patch:
        patch.setattr(autotopup, "_outcome", lambda *_: 1 / 0)
        autotopup.pay_due()
    assert AutoCharge.objects.get().state == "due"
    AutoCharge.objects.update(next_attempt_at=timezone.now())
    autotopup.pay_due()
    assert (AutoCharge.objects.get().state, shop.balance) == ("paid", 14 * NANO)
    assert len(shop.stripe.sent("POST", "/v1/payment_intents")) == 3
    assert len([row for row in shop.stripe.all("payment_intent") if row["metadata"]]) == 1


@pytest.mark.parametrize("code", ["card_declined", "authentication_required"])
def test_a_declined_card_switches_it_off_and_tells(shop: Shop, code: str) -> None:
    webhooks.create(shop.paywall.pk, url="https://example.com/hook", events=["paywall.balance.charge.failed"])
    shop.stripe.card_error = code
    spend(shop, 16)
    autotopup.pay_due()
    assert AutoCharge.objects.get().state == "declined"
    assert not SavedCard.objects.exists()
    assert not AutoTopUp.objects.exists()
    assert [row["customer"] for row in shop.stripe.all("payment_method")] == [None]
    data = Event.objects.get().content["data"]
    assert (data["errorCode"], data["amount"], data["walletUserId"]) == (code, 10, shop.alice.public_id)
    spend(shop, 1)
    assert AutoCharge.objects.count() == 1


def test_who_switches_it_off_has_the_card_removed_at_stripe(shop: Shop) -> None:
    [card] = shop.stripe.all("payment_method")
    assert card["customer"]
    shop.press("auto_off")
    assert card["customer"] is None
    assert not SavedCard.objects.exists()
    assert not CardRemoval.objects.exists()


class TestACardThatStripeDoesNotLetGoOf:
    @pytest.fixture
    def card(self, shop: Shop) -> dict[str, Any]:
        """Forgotten here, and still its customer's at Stripe, which was away."""
        shop.stripe.trouble = lambda request: (400, b"{}") if "detach" in request.path else None
        assert shop.press("auto_off").status_code == 302
        assert not SavedCard.objects.exists()
        [card] = shop.stripe.all("payment_method")
        assert card["customer"]
        return card

    def later(self) -> int:
        CardRemoval.objects.update(next_attempt_at=timezone.now())
        return cards.remove_due()

    def test_is_removed_when_stripe_is_back(self, shop: Shop, card: dict[str, Any]) -> None:
        assert cards.remove_due() == 0
        assert self.later() == 1
        removal = CardRemoval.objects.get()
        assert (removal.attempts, bool(removal.error), bool(card["customer"])) == (2, True, True)
        assert removal.next_attempt_at > timezone.now() + timedelta(minutes=1)
        shop.stripe.trouble = lambda request: None
        assert self.later() == 1
        assert card["customer"] is None
        assert self.later() == 0

    def test_is_done_where_somebody_removed_it_there(self, shop: Shop, card: dict[str, Any]) -> None:
        shop.stripe.trouble = lambda request: None
        card["customer"] = None
        self.later()
        assert not CardRemoval.objects.exists()

    def test_is_told_to_an_operator_after_two_days_and_tried_on(
        self, shop: Shop, card: dict[str, Any]
    ) -> None:
        CardRemoval.objects.update(attempts=attention.TRIES_OF_A_REMOVAL - 1)
        self.later()
        assert card["id"] in OperatorAlert.objects.get().text
        shop.stripe.trouble = lambda request: None
        self.later()
        assert card["customer"] is None

    def test_is_let_go_with_the_account(self, shop: Shop, card: dict[str, Any]) -> None:
        integration.disconnect(shop.account, by="admin")
        self.later()
        assert not CardRemoval.objects.exists()


def test_a_card_that_another_one_replaces_is_removed(shop: Shop) -> None:
    [old] = shop.stripe.all("payment_method")
    shop.stripe.deliver = True
    shop.stripe.pay(shop.setup())
    shop.process()
    CardRemoval.objects.update(next_attempt_at=timezone.now())
    cards.remove_due()
    new = shop.stripe.all("payment_method")[-1]
    assert (old["customer"], bool(new["customer"])) == (None, True)
    assert SavedCard.objects.get().payment_method_id == new["id"]


def test_without_a_card_nothing_is_charged(shop: Shop) -> None:
    shop.press("auto_off")
    assert not SavedCard.objects.exists()
    spend(shop, 16)
    assert not AutoCharge.objects.exists()


def test_an_app_can_lower_what_is_charged_and_never_raise_it(shop: Shop) -> None:
    alice = UserRef(shop.paywall.pk, "alice")
    services.configure_wallet(
        alice, WalletSettings(low_balance=5 * NANO, topup_amount=100 * NANO, topup_month_limit=1000 * NANO)
    )
    spend(shop, 16)
    autotopup.pay_due()
    assert AutoCharge.objects.get().amount == 10 * NANO
    services.configure_wallet(
        alice, WalletSettings(low_balance=5 * NANO, topup_amount=3 * NANO, topup_month_limit=1000 * NANO)
    )
    spend(shop, 10)
    autotopup.pay_due()
    assert AutoCharge.objects.order_by("-id")[0].amount == 3 * NANO


def test_a_payment_of_the_wrong_amount_is_not_credited(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    spend(shop, 16)
    make = shop.stripe._intent
    monkeypatch.setattr(shop.stripe, "_intent", lambda cents, *rest: make(cents - 1, *rest))
    autotopup.pay_due()
    assert (AutoCharge.objects.get().state, shop.balance) == ("failed", 4 * NANO)


@pytest.mark.parametrize(
    ("threshold", "amount", "month_limit"),
    [("5", "4", "30"), ("5", "10", "9"), ("x", "10", "30"), ("5", "501", "900"), ("0", "10", "30")],
)
def test_wishes_that_do_not_fit_are_refused(
    shop: Shop, threshold: str, amount: str, month_limit: str
) -> None:
    shop.press("auto_off")
    answer = shop.press("auto_on", threshold=threshold, amount=amount, month_limit=month_limit)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_many_workers_and_many_charges_at_once_pay_one_crossing_once(settings: Any) -> None:
    with FakeStripe() as stripe:
        stripe.post = by_client
        settings.STRIPE_API_BASE = stripe.url
        shop = begin(stripe)
        in_threads(6, lambda _: spend(shop, 3))
        assert AutoCharge.objects.count() == 1
        in_threads(6, lambda _: autotopup.pay_due())
        assert shop.balance == 12 * NANO
        assert broken_rules(RULES) == []
        assert checkout.poll() == 0
