"""A paywall that takes money through the fake Stripe, and its end users."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db import connection
from django.http import HttpResponse
from django.test import Client

from ledger import queries, services, topups
from ledger.models import Account, StripeAccount, StripeCheckout, TopUpLink
from ledger.payments import incoming, integration
from ledger.verification import Rule
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef
from tests.factories import make_paywall
from tests.fake_stripe import KEY, FakeStripe


@dataclass
class Shop:
    """What a test of payments begins with: `shop.stripe` is the fake, `shop.alice` has a wallet and a link."""

    stripe: FakeStripe
    paywall: Paywall
    account: StripeAccount
    alice: EndUser
    session: str = ""

    @property
    def intent(self) -> str:
        """The payment of `session`."""
        return self.intent_of(self.session)

    @property
    def path(self) -> str:
        """The path of alice's top-up link."""
        return urlsplit(topups.link_for(self.alice)).path

    def press(self, do: str = "", **fields: str) -> HttpResponse:
        """A button of the top-up page is pressed."""
        return Client().post(self.path, {"do": do, **fields})

    def checkout(self, dollars: str = "10") -> str:
        """Alice goes to pay: the id of her session at Stripe."""
        return self._gone(self.press(amount=dollars))

    def setup(self, threshold: str = "5", amount: str = "10", month_limit: str = "30") -> str:
        """Alice goes to save a card."""
        return self._gone(self.press("auto_on", threshold=threshold, amount=amount, month_limit=month_limit))

    def subscribe(self, plan: Any) -> str:
        """Alice goes to subscribe."""
        return self._gone(self.press("subscribe", plan=plan.pk.hex))

    def _gone(self, answer: HttpResponse) -> str:
        assert answer.status_code == 302, answer.content
        begun = StripeCheckout.objects.get(pk=answer["Location"].rpartition("go=")[2])
        assert begun.session_id
        return begun.session_id

    def process(self) -> int:
        """The worker processes what Stripe told."""
        return incoming.process_due()

    @property
    def balance(self) -> int:
        """What alice has (nano-dollars)."""
        return queries.balance_of(UserRef(self.paywall.pk, "alice")).posted

    @property
    def wallet(self) -> Account:
        return Account.objects.get(user=self.alice)

    def intent_of(self, session_id: str) -> str:
        return self.stripe.objects[session_id]["payment_intent"]

    def link(self) -> TopUpLink:
        return TopUpLink.objects.order_by("-id")[0]


def broken_rules(rules: list[Rule]) -> list[str]:
    """The rules of the proof that the books break, looked at in the test's own transaction."""
    broken = []
    with connection.cursor() as cursor:
        for rule in rules:
            cursor.execute(rule.statement)
            if cursor.fetchall():
                broken.append(rule.name)
    return broken


def by_client(url: str, body: bytes, signature: str) -> int:
    """Deliver an event in this thread, so that it is in the test's own transaction."""
    headers = {"Stripe-Signature": signature}
    path = urlsplit(url).path
    return Client().post(path, body, content_type="application/json", headers=headers).status_code


def open_shop(stripe: FakeStripe, **settings: Any) -> Shop:
    """A paywall that is connected with the fake Stripe."""
    paywall = make_paywall(name="Acme Chat", **settings)
    account = integration.connect(paywall, KEY, by="admin")
    alice = services.ensure_user(UserRef(paywall.pk, "alice"))
    return Shop(stripe, Paywall.objects.get(pk=paywall.pk), account, alice)
