"""Chat, authorize, pay and revoke, as people live it."""

import re
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.walk import chat, link_in, look_over, pay_at_stripe, sign_in
from tests.installation import Installation

pytestmark = pytest.mark.server

PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}


def test_chat_link_pay_chat(page: Page, site: Installation) -> None:
    page.goto(link_in(chat(site, "Acme Chat", "payer")))
    look_over(page)
    page.get_by_label("$5", exact=True).check()
    page.get_by_role("button", name="Pay").click()
    expect(page.get_by_role("status")).to_contain_text("$5.00")
    look_over(page)
    assert "http" not in chat(site, "Acme Chat", "payer")


def test_chat_authorize_pay_chat_and_revoke(page: Page, site: Installation) -> None:
    link = link_in(chat(site, "Oracle", "ann"))
    page.goto(link)
    expect(page.locator("h1")).to_contain_text("Let Oracle charge your wallet?")
    expect(page.get_by_text("Answers to everything.")).to_be_visible()
    look_over(page)
    page.get_by_role("link", name="Sign in to answer").click()
    look_over(page)
    sign_in(page, "ann@home.test")
    expect(page.get_by_text("ann@home.test")).to_be_visible()
    page.get_by_label("At most in a month").fill("20,00")
    look_over(page)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("Oracle is connected")
    look_over(page)
    # The wallet is empty: the chat asks for money now, and the same wallet pays.
    assert "/t/" in link_in(chat(site, "Oracle", "ann"))
    page.get_by_role("button", name="Add money").click()
    expect(page.get_by_text("Test mode.")).to_be_visible()
    page.get_by_label("$5", exact=True).check()
    pay_at_stripe(page, "$5.00")
    expect(page.get_by_role("status")).to_contain_text("$5.00")
    assert "http" not in chat(site, "Oracle", "ann")

    page.goto(f"{site.url()}/wallet")
    look_over(page)
    expect(page.locator("table")).to_contain_text("Oracle")
    expect(page.get_by_label("At most in a month for Oracle")).to_have_value("20")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export all as CSV").click()
    assert "Oracle" in download.value.path().read_text()
    page.get_by_role("button", name="Disconnect Oracle").click()
    expect(page.get_by_role("status")).to_contain_text("Oracle is disconnected.")
    assert "/c/" in link_in(chat(site, "Oracle", "ann"))

    # The link that connected her is spent.
    assert requests.get(link).status_code == 410
    page.goto(link)
    look_over(page)


def test_declined_with_a_keyboard(page: Page, site: Installation) -> None:
    page.goto(link_in(chat(site, "Poet", "bob")))
    page.get_by_text("Decline", exact=True).first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("too many rhymes")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Declined")
    look_over(page)
    [row] = site.sql("SELECT reason, state FROM paywalls_authorizationrequest WHERE reason <> ''")
    assert row == {"reason": "too many rhymes", "state": "declined"}
    assert "/c/" in link_in(chat(site, "Poet", "bob"))


def test_in_german_on_a_phone_in_the_dark(new_page: Callable[..., Page], site: Installation) -> None:
    page = new_page(locale="de-DE", **PHONE)
    page.goto(link_in(chat(site, "Poet", "karl")))
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("h1")).to_have_text("Darf Poet Ihre Wallet belasten?")
    look_over(page)
    page.get_by_role("link", name="Anmelden, um zu antworten").click()
    sign_in(page, "karl@home.test")
    page.get_by_role("button", name="Erlauben").click()
    expect(page.get_by_role("status")).to_contain_text("Poet ist verbunden")
    expect(page.locator(".balance")).to_contain_text("0,00\xa0$")
    page.goto(f"{site.url()}/wallet")
    look_over(page)


def test_signed_out_everywhere(new_page: Callable[..., Page], site: Installation) -> None:
    here, there = new_page(), new_page()
    for page in (here, there):
        page.goto(f"{site.url()}/wallet")
        sign_in(page, "eve@home.test")
        expect(page.locator("h1")).to_have_text("Your wallet")
    here.get_by_role("button", name="Sign out everywhere").click()
    there.reload()
    expect(there.locator("h1")).to_have_text("Sign in to your wallet")


def test_a_wrong_code_says_so_and_nothing_else(page: Page, site: Installation) -> None:
    page.goto(f"{site.url()}/wallet/sign-in")
    page.locator("#email").fill("mallory@home.test")
    page.locator("button[type=submit]").click()
    shown = re.search(r"\d{6}", page.locator(".notice").inner_text())
    assert shown
    page.locator("#code").fill("000000" if shown[0] != "000000" else "000001")
    page.locator("button[type=submit]").click()
    expect(page.get_by_role("alert")).to_contain_text("4 tries are left.")
    look_over(page)
