"""Top-up links: who can open one, and where there is no sandbox behind it."""

import base64
import re
import string
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from config.money import NANO
from ledger import services, topups
from ledger.models import TopUpLink
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef
from tests.customer import make_customer, path_of, pay, posted, show


@pytest.fixture(autouse=True)
def sandbox(settings: Any) -> None:
    """An installation on somebody's own machine."""
    settings.SANDBOX_CHECKOUT = True
    settings.PRODUCTION = False


@pytest.mark.django_db
class TestLinks:
    def test_a_link_is_absolute_short_and_opens(self, settings: Any) -> None:
        user = make_customer()
        settings.PUBLIC_URL = "https://pay.test"
        url = topups.link_for(user)
        assert re.fullmatch(r"https://pay\.test/t/[A-Za-z0-9_-]{43}", url)
        assert topups.open_link(url.rsplit("/", 1)[1]).user == user

    def test_asking_again_gives_the_same_link(self) -> None:
        user = make_customer()
        assert topups.link_for(user) == topups.link_for(user)

    def test_a_new_link_when_half_the_life_of_the_last_one_is_over(self, settings: Any) -> None:
        user = make_customer()
        first = topups.link_for(user)
        half = timedelta(seconds=settings.TOPUP_LINK_SECONDS / 2)
        TopUpLink.objects.update(expires_at=timezone.now() + half - timedelta(seconds=1))
        assert topups.link_for(user) != first

    def test_a_new_link_when_the_last_one_is_paid(self) -> None:
        user = make_customer()
        first = path_of(user)
        pay(first)
        assert path_of(user) != first

    def test_every_user_has_a_link_of_their_own(self) -> None:
        alice = make_customer("alice")
        bob = services.ensure_user(UserRef(alice.paywall_id, "bob"))
        assert topups.link_for(alice) != topups.link_for(bob)

    def test_no_character_can_be_changed(self) -> None:
        token = topups.link_for(make_customer()).rsplit("/", 1)[1]
        for position, character in enumerate(token):
            for other in set(string.ascii_letters + string.digits + "-_") - {character}:
                with pytest.raises(topups.UnknownLink):
                    topups.open_link(token[:position] + other + token[position + 1 :])

    def test_nothing_can_be_added_or_cut(self) -> None:
        token = topups.link_for(make_customer()).rsplit("/", 1)[1]
        for altered in (
            token[:-1],
            token + "A",
            token + "=",
            token[:22],
            "",
            "A",
            "é" * 43,
            f" {token}",
            token.swapcase(),
        ):
            with pytest.raises(topups.UnknownLink):
                topups.open_link(altered)

    def test_the_key_of_a_link_alone_opens_nothing(self) -> None:
        topups.link_for(make_customer())
        link = TopUpLink.objects.get()
        forged = base64.urlsafe_b64encode(link.id.bytes + bytes(16)).rstrip(b"=").decode()
        with pytest.raises(topups.UnknownLink):
            topups.open_link(forged)

    def test_another_secret_key_makes_other_tokens(self, settings: Any) -> None:
        token = topups.link_for(make_customer()).rsplit("/", 1)[1]
        settings.SECRET_KEY = "another"
        with pytest.raises(topups.UnknownLink):
            topups.open_link(token)

    def test_a_genuine_token_of_a_link_that_is_gone_is_unknown(self) -> None:
        with pytest.raises(topups.UnknownLink):
            topups.open_link(topups.token_of(uuid.uuid4()))


@pytest.mark.django_db
class TestWhoMayOpenIt:
    def test_an_expired_link_is_gone_even_if_it_was_paid(self) -> None:
        user = make_customer()
        path = path_of(user)
        pay(path, "5")
        TopUpLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        for answer in (show(path), pay(path)):
            assert answer.status_code == 410
            assert b"expired" in answer.content
            assert b"$" not in answer.content
        assert posted(user) == 5 * NANO

    def test_a_forged_link_says_nothing_about_anybody(self) -> None:
        user = make_customer()
        path = path_of(user)
        altered = path[:-1] + ("A" if path[-1] != "A" else "B")
        unknown = f"/t/{topups.token_of(uuid.uuid4())}"
        pages = [show(altered), show(unknown), show("/t/x"), pay(altered), pay(unknown)]
        assert {page.status_code for page in pages} == {404}
        assert len({page.content for page in pages}) == 1
        assert posted(user) == 0

    def test_a_link_pays_its_own_user_only(self) -> None:
        alice, stranger = make_customer(), make_customer()
        pay(path_of(alice))
        assert (posted(alice), posted(stranger)) == (10 * NANO, 0)


@pytest.mark.django_db
class TestWhereThereIsRealMoney:
    @pytest.fixture(params=["stripe", "production", "off"])
    def user(self, request: pytest.FixtureRequest, settings: Any) -> EndUser:
        """Somebody whose paywall has a Stripe key, is in production, or is where the sandbox is off."""
        user = make_customer()
        if request.param == "stripe":
            Paywall.objects.update(stripe_secret_key="encrypted")
        elif request.param == "production":
            settings.PRODUCTION = True
        else:
            settings.SANDBOX_CHECKOUT = False
        return user

    def test_the_page_says_that_it_can_not_take_payments(self, user: EndUser) -> None:
        page = show(path_of(user))
        assert page.status_code == 200
        assert b"Payments are not set up yet" in page.content
        assert b"<form" not in page.content
        assert b"Sandbox" not in page.content

    def test_paying_is_refused(self, user: EndUser) -> None:
        assert pay(path_of(user)).status_code == 403
        assert posted(user) == 0

    def test_the_function_behind_the_page_refuses_too(self, user: EndUser) -> None:
        link = topups.open_link(topups.link_for(user).rsplit("/", 1)[1])
        with pytest.raises(topups.CheckoutNotAllowed):
            topups.pay_in_sandbox(link, 10 * NANO)
        assert posted(user) == 0
