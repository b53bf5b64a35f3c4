"""The hosted page of the sandbox checkout: what it shows, what paying does, and how it is locked down."""

import re
from typing import Any

import pytest
from django.test import Client

from config.money import NANO
from ledger import book, posting, queries
from ledger.errors import Contention
from ledger.models import Account, TopUpLink, Transfer
from tests.customer import make_customer, path_of, pay, posted, show
from tests.threads import at_once


@pytest.fixture(autouse=True)
def sandbox(settings: Any) -> None:
    """An installation on somebody's own machine."""
    settings.SANDBOX_CHECKOUT = True
    settings.PRODUCTION = False


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
            ("12,50", 12_500_000_000),
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
                "1,500",
                "1,2,3",
                "$",
                "1" * 33,
                "\0",
                "\u0665",
            )
        ]
        + [("501", ""), ("", ""), ("ten", "")],
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
        assert browser.post(path, {"amount": "10"}).status_code == 403
        assert posted(user) == 0
        [token] = re.findall(
            r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(path).content.decode()
        )
        assert browser.post(path, {"amount": "10", "csrfmiddlewaretoken": token}).status_code == 302
        assert posted(user) == 10 * NANO

    def test_the_name_of_a_paywall_is_text(self) -> None:
        text = show(path_of(make_customer(name="<b>Acme & Co</b>"))).content.decode()
        assert "&lt;b&gt;Acme &amp; Co&lt;/b&gt;" in text

    def test_a_wallet_that_is_full_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(book, "MAX_BALANCE", 20 * NANO)
        user = make_customer()
        page = pay(path_of(user), "25")
        assert page.status_code == 422
        assert b"at most $20" in page.content
        assert posted(user) == 0

    def test_a_busy_ledger_asks_to_try_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        user = make_customer()
        path = path_of(user)

        def busy(*args: Any, **kwargs: Any) -> None:
            raise Contention("busy")

        with monkeypatch.context() as patch:
            patch.setattr(posting, "post", busy)
            page = pay(path)
        assert page.status_code == 503
        assert b"Nothing was added" in page.content
        assert pay(path).status_code == 302
        assert posted(user) == 10 * NANO

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_other_methods_are_refused(self, method: str) -> None:
        assert Client().generic(method, path_of(make_customer())).status_code == 405


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
