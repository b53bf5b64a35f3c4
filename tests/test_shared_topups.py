"""Money into a shared wallet: by the installation's own Stripe account, told to the app in whose chat it was asked."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from config.money import NANO
from ledger import queries, services, topups
from ledger.errors import NotConnected
from ledger.models import Account, StripeCheckout, StripePayment, TopUpLink
from ledger.payments import autotopup, incoming, upkeep
from ledger.verification import RULES
from paywalls import connections, signin
from paywalls.errors import InvalidSetting
from paywalls.models import Connection, EndUser
from paywalls.users import UserRef
from tests.factories import make_connection, make_paywall, make_wallet_user
from tests.fake_stripe import KEY, FakeStripe
from tests.payments import broken_rules, by_client
from webhooks import services as webhooks
from webhooks.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def stripe(settings: Any, db: None) -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        running.post = by_client
        settings.STRIPE_API_BASE = running.url
        settings.STRIPE_SECRET_KEY = KEY
        assert upkeep.keep_connected() == 0
        yield running
        assert broken_rules(RULES) == []


@pytest.fixture
def connection(stripe: FakeStripe) -> Connection:
    """Alice of a shared paywall, to whose every event somebody listens, pays from somebody's wallet."""
    paywall = make_paywall(mode="shared", return_origins=["https://app.example.com"])
    webhooks.create(paywall.pk, url="https://example.com/hook", events=["*"])
    return make_connection(UserRef(paywall.pk, "alice"), make_wallet_user())


def ref(connection: Connection) -> UserRef:
    return UserRef(connection.user.paywall_id, connection.user.external_id)


def press(url: str, **fields: str) -> str:
    """Go to pay; the session at Stripe."""
    answer = Client().post(urlsplit(url).path, fields)
    assert answer.status_code == 302, answer.content
    begun = StripeCheckout.objects.get(pk=answer["Location"].rpartition("go=")[2])
    assert begun.session_id
    return begun.session_id


def told() -> list[tuple[str, str]]:
    """(type, whose) of what was told of top-ups."""
    return [
        (event.type, event.content["data"]["walletUserId"])
        for event in Event.objects.order_by("id")
        if "authorization" not in event.type
    ]


def test_it_is_paid_to_the_installation_and_the_app_is_told_about_its_own_user(
    stripe: FakeStripe, connection: Connection
) -> None:
    url = topups.link_of(ref(connection))
    assert topups.link_of(ref(connection)) == url
    stripe.pay(press(url, amount="10"))
    incoming.process_due()
    assert queries.balance_of(signin.wallet_ref(connection.wallet_user)).posted == 10 * NANO
    payment = StripePayment.objects.get()
    assert payment.account.paywall is None
    assert payment.wallet.user == connection.wallet_user.user
    alice = connection.user.public_id
    assert told() == [
        ("paywall.balance.topup.link.created", alice),
        ("paywall.stripe.checkout.session.completed", alice),
    ]


def test_two_apps_have_links_of_their_own_to_one_wallet(stripe: FakeStripe, connection: Connection) -> None:
    other = make_connection(UserRef(make_paywall(mode="shared").pk, "bob"), connection.wallet_user)
    assert topups.link_of(ref(connection)) != topups.link_of(ref(other))
    assert {link.user for link in TopUpLink.objects.all()} == {connection.wallet_user.user}
    assert told() == [("paywall.balance.topup.link.created", connection.user.public_id)]


def test_no_app_is_told_what_is_paid_from_the_wallets_page(
    stripe: FakeStripe, connection: Connection
) -> None:
    stripe.pay(press(topups.link_for(connection.wallet_user.user), amount="10"))
    incoming.process_due()
    assert StripePayment.objects.exists()
    assert told() == []


def test_an_app_that_was_disconnected_is_not_told_any_more(
    stripe: FakeStripe, connection: Connection
) -> None:
    url = topups.link_of(ref(connection))
    connections.end(connection)
    stripe.pay(press(url, amount="10"))
    incoming.process_due()
    assert StripePayment.objects.exists()
    assert told() == [("paywall.balance.topup.link.created", connection.user.public_id)]


def test_the_app_goes_on_at_its_own_address_and_at_no_other(
    stripe: FakeStripe, connection: Connection
) -> None:
    with pytest.raises(InvalidSetting, match="origin"):
        topups.link_of(ref(connection), "https://evil.example.com/")
    stripe.pay(press(url := topups.link_of(ref(connection), "https://app.example.com/chat"), amount="10"))
    incoming.process_due()
    assert b'href="https://app.example.com/chat"' in Client().get(urlsplit(url).path).content


def test_a_declined_card_is_told_to_the_app_in_whose_chat_it_was_saved(
    stripe: FakeStripe, connection: Connection
) -> None:
    wallet = signin.wallet_ref(connection.wallet_user)
    services.deposit(wallet, 20 * NANO, source="start")
    wishes = {"threshold": "5", "amount": "10", "month_limit": "30"}
    stripe.pay(press(topups.link_of(ref(connection)), do="auto_on", **wishes))
    incoming.process_due()
    stripe.card_error = "card_declined"
    services.charge(ref(connection), 16 * NANO, source="spent")
    autotopup.pay_due()
    failed = Event.objects.get(type="paywall.balance.charge.failed")
    assert failed.content["data"]["walletUserId"] == connection.user.public_id
    assert failed.content["data"]["errorCode"] == "card_declined"
    assert Account.objects.get(user=connection.wallet_user.user).posted == 4 * NANO


def test_who_is_not_connected_gets_no_link(stripe: FakeStripe) -> None:
    with pytest.raises(NotConnected):
        topups.link_of(UserRef(make_paywall(mode="shared").pk, "alice"))
    assert not TopUpLink.objects.exists()
    assert not EndUser.objects.filter(external_id="alice").exists()
