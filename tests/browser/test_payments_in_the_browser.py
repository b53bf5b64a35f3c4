"""Paying through Stripe, as people live it: there, back, waiting, and on with the chat."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.walk import chat, link_in, look_over, pay_at_stripe
from tests.fake_stripe import FakeStripe
from tests.installation import Installation

pytestmark = pytest.mark.server


def test_chat_link_stripe_back_and_chat(page: Page, site: Installation) -> None:
    page.goto(link_in(chat(site, "Till", "payer")))
    expect(page.get_by_text("Test mode.")).to_be_visible()
    look_over(page)
    page.get_by_label("$25", exact=True).check()
    pay_at_stripe(page, "$25.00")
    expect(page.get_by_role("status")).to_contain_text("$25.00 added")
    look_over(page)
    assert "http" not in chat(site, "Till", "payer")


def test_who_comes_back_from_stripe_without_paying_can_choose_again(page: Page, site: Installation) -> None:
    page.goto(link_in(chat(site, "Till", "shy")))
    page.get_by_role("button", name="Go on to payment").click()
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("button", name="Go on to payment")).to_be_visible()
    assert "/t/" in link_in(chat(site, "Till", "shy"))


def test_the_page_waits_for_a_bank_and_goes_on_by_itself(
    page: Page, site: Installation, stripe: FakeStripe
) -> None:
    page.goto(link_in(chat(site, "Till", "patient")))
    page.get_by_role("button", name="Go on to payment").click()
    expect(page.locator("h1")).to_contain_text("Pay $")
    session = stripe.objects[page.url.rpartition("/")[2]]
    stripe.pay(session["id"], later=True)
    page.goto(session["success_url"])
    expect(page.get_by_role("status")).to_contain_text("under way")
    look_over(page)
    stripe.arrive(session["id"])
    expect(page.get_by_role("status")).to_contain_text("added", timeout=15_000)


def test_a_plan_and_a_saved_card_in_german_on_a_phone(
    new_page: Callable[..., Page], site: Installation
) -> None:
    page = new_page(locale="de-DE", viewport={"width": 390, "height": 844}, color_scheme="dark")
    link = link_in(chat(site, "Till", "karl"))
    page.goto(link)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_text("20,00\xa0$ im Monat")).to_be_visible()
    page.get_by_text("Nie ohne Guthaben").click()
    page.get_by_label("Diesen Betrag abbuchen").fill("12,50")
    look_over(page)
    page.get_by_role("button", name="Karte bei Stripe speichern").click()
    page.get_by_role("button", name="Pay now").click()
    page.wait_for_url(re.compile("/t/[^?]+$"))
    expect(page.get_by_text("12,50\xa0$ von visa …4242")).to_be_visible()
    look_over(page)
    page.get_by_role("button", name="Pro abonnieren").click()
    page.get_by_role("button", name="Pay now").click()
    expect(page.get_by_role("status")).to_contain_text("Ihr Abo Pro läuft jetzt", timeout=15_000)
    assert "http" not in chat(site, "Till", "karl")
    another = _another_link(site, "karl")
    page.goto(another)
    assert another != link
    expect(page.get_by_text("Ihr Abo ist Pro")).to_be_visible()
    look_over(page)


def _another_link(site: Installation, user: str) -> str:
    answer = site.client(api_key=site.keys["Till"]).get(f"/user/balance/topup?user={user}", cast_to=object)
    assert isinstance(answer, dict)
    return str(answer["url"])
