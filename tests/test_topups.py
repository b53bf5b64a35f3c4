"""Top-up links and the hosted page: who can open one, what a payment does, and where there is no sandbox."""

import base64
import re
import string
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from config.money import NANO
from ledger import book, queries, services, topups
from ledger.errors import Contention
from ledger.models import Account, TopUpLink, Transfer
from paywalls.models import EndUser, Paywall
from paywalls.users import UserRef
from tests.factories import make_paywall
from tests.threads import at_once


@pytest.fixture(autouse=True)
def sandbox(settings: Any) -> None:
    """An installation on somebody's own machine."""
    settings.SANDBOX_CHECKOUT = True
    settings.PRODUCTION = False
    settings.PUBLIC_URL = "http://pay.test"
    settings.ALLOWED_HOSTS = ["*"]


def make_customer(external_id: str = "alice", **settings: Any) -> EndUser:
    """An end user with a wallet."""
    return services.ensure_user(UserRef(make_paywall(**settings).id, external_id))


def path_of(user: EndUser) -> str:
    return topups.link_for(user).removeprefix("http://pay.test")


def posted(user: EndUser) -> int:
    return queries.balance_of(UserRef(user.paywall_id, user.external_id)).posted


def show(path: str) -> HttpResponse:
    return Client().get(path)


def pay(path: str, choice: str = "10", other: str = "") -> HttpResponse:
    return Client().post(path, {"choice": choice, "other": other})


# --- Links -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestLinks:
    def test_a_link_is_absolute_short_and_opens(self) -> None:
        user = make_customer()
        url = topups.link_for(user)
        assert re.fullmatch(r"http://pay\.test/t/[A-Za-z0-9_-]{43}", url)
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


# --- The page --------------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestThePage:
    def test_it_shows_the_paywall_the_balance_and_that_it_is_a_test(self) -> None:
        user = make_customer(name="Acme Chat", trial_credit=50_000_000)
        page = show(path_of(user))
        text = page.content.decode()
        assert page.status_code == 200
        assert "Acme Chat" in text
        assert "$0.05" in text
        assert "Sandbox checkout. No real money moves." in re.sub("<[^>]+>", "", text)
        for choice in ("5", "10", "25", "50", "other"):
            assert f'value="{choice}"' in text
        assert "alice" not in text

    def test_paying_adds_the_money_and_says_so(self) -> None:
        user = make_customer(trial_credit=50_000_000)
        path = path_of(user)
        answer = pay(path, "25")
        assert (answer.status_code, answer["Location"]) == (302, path)
        text = show(path).content.decode()
        assert "$25.00 added" in text
        assert "$25.05" in text
        assert "<form" not in text
        transfer = Transfer.objects.get(kind=Transfer.Kind.DEPOSIT)
        assert transfer.amount == 25 * NANO
        assert transfer.debit_account.kind == Account.Kind.SANDBOX

    @pytest.mark.parametrize(
        ("own", "nano"),
        [
            ("1", NANO),
            ("12.5", 12_500_000_000),
            ("12.50", 12_500_000_000),
            ("$20", 20 * NANO),
            (" 500.00 ", 500 * NANO),
        ],
    )
    def test_an_amount_of_ones_own(self, own: str, nano: int) -> None:
        user = make_customer()
        assert pay(path_of(user), "other", own).status_code == 302
        assert posted(user) == nano

    def test_a_preset_counts_even_if_something_is_left_in_the_other_field(self) -> None:
        user = make_customer()
        pay(path_of(user), "5", "400")
        assert posted(user) == 5 * NANO

    @pytest.mark.parametrize(
        ("choice", "own"),
        [
            ("other", own)
            for own in (
                "",
                "abc",
                "-1",
                "0",
                "0.99",
                "500.01",
                "1.001",
                "NaN",
                "1e2",
                "1,50",
                "$",
                "1" * 33,
                "\0",
                "\u0665",
            )
        ]
        + [("7", ""), ("", ""), ("10.00", "")],
    )
    def test_a_bad_amount_shows_the_form_again_and_adds_nothing(self, choice: str, own: str) -> None:
        user = make_customer()
        page = pay(path_of(user), choice, own)
        text = page.content.decode()
        assert page.status_code == 422
        assert 'role="alert"' in text
        assert "<form" in text
        assert not Transfer.objects.exists()
        assert TopUpLink.objects.get().paid_at is None

    def test_what_was_typed_is_shown_again_as_text(self) -> None:
        page = pay(path_of(make_customer()), "other", '"><script>').content.decode()
        assert "<script" not in page
        assert "&quot;&gt;&lt;script&gt;" in page

    def test_a_second_click_pays_nothing_more(self) -> None:
        user = make_customer()
        path = path_of(user)
        assert [pay(path, "10").status_code, pay(path, "10").status_code, pay(path, "50").status_code] == [
            302
        ] * 3
        assert posted(user) == 10 * NANO

    def test_a_payment_whose_process_died_before_the_link_was_marked_is_not_paid_twice(self) -> None:
        user = make_customer()
        path = path_of(user)
        for choice in ("10", "10", "25"):
            TopUpLink.objects.update(paid_at=None)
            assert pay(path, choice).status_code == 302
        assert posted(user) == 10 * NANO
        assert TopUpLink.objects.get().paid_at is not None

    def test_the_form_needs_its_csrf_token(self) -> None:
        user = make_customer()
        path = path_of(user)
        browser = Client(enforce_csrf_checks=True)
        assert browser.post(path, {"choice": "10"}).status_code == 403
        assert posted(user) == 0
        [token] = re.findall(
            r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(path).content.decode()
        )
        assert browser.post(path, {"choice": "10", "csrfmiddlewaretoken": token}).status_code == 302
        assert posted(user) == 10 * NANO

    def test_the_name_of_a_paywall_is_text(self) -> None:
        text = show(path_of(make_customer(name="<b>Acme & Co</b>"))).content.decode()
        assert "&lt;b&gt;Acme &amp; Co&lt;/b&gt;" in text

    def test_a_wallet_that_is_full_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(book, "MAX_BALANCE", 20 * NANO)
        user = make_customer()
        page = pay(path_of(user), "25")
        assert page.status_code == 422
        assert b"at most 20 USD" in page.content
        assert posted(user) == 0

    def test_a_busy_ledger_asks_to_try_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        user = make_customer()
        path = path_of(user)

        def busy(*args: Any, **kwargs: Any) -> None:
            raise Contention("busy")

        with monkeypatch.context() as patch:
            patch.setattr(services, "post_one", busy)
            page = pay(path)
        assert page.status_code == 503
        assert b"Nothing was added" in page.content
        assert pay(path).status_code == 302
        assert posted(user) == 10 * NANO

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_other_methods_are_refused(self, method: str) -> None:
        assert Client().generic(method, path_of(make_customer())).status_code == 405


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


# --- Where there is no sandbox ---------------------------------------------------------------------------


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


# --- Headers ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_every_page_has_the_strict_headers() -> None:
    path = path_of(make_customer())
    form, invalid, paid = show(path), pay(path, "other"), pay(path)
    for page in (form, invalid, paid, show(path), show("/t/forged"), show("/nothing"), Client().put(path)):
        policy = page["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert page["Referrer-Policy"] == "same-origin"
        assert page["Cache-Control"] == "no-store"
        assert page["X-Robots-Tag"] == "noindex, nofollow"
        assert page["X-Content-Type-Options"] == "nosniff"
        assert page["X-Frame-Options"] == "DENY"
    assert (form.status_code, invalid.status_code, paid.status_code) == (200, 422, 302)


@pytest.mark.django_db
def test_a_page_holds_nothing_that_its_policy_would_block() -> None:
    path = path_of(make_customer())
    for page in (show(path), pay(path, "other"), show("/t/forged")):
        text = page.content.decode()
        assert not re.search(r"<script|\bon\w+=|\bstyle=|<style|https?://(?!www\.w3\.org)", text)
        for asset in re.findall(r'(?:href|src)="([^"]+)"', text):
            assert Client().get(asset).status_code == 200


@pytest.mark.django_db
def test_a_fault_of_ours_is_a_page_with_the_strict_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug")

    path = path_of(make_customer())
    monkeypatch.setattr(queries, "balance_of", broken)
    page = Client(raise_request_exception=False).get(path)
    assert page.status_code == 500
    assert b"a bug" not in page.content
    assert "default-src 'none'" in page["Content-Security-Policy"]


# --- At once ---------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_twenty_clicks_at_once_pay_once() -> None:
    user = make_customer()
    path = path_of(user)
    assert [answer.status_code for answer in at_once(20, lambda: pay(path))] == [302] * 20
    assert posted(user) == 10 * NANO
    assert TopUpLink.objects.get(user=user).paid_at is not None
