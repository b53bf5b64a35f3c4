"""What operators do on their site, as they do it: set up a paywall, refund, rotate a key, send a delivery again."""

import re
import subprocess
from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.browser.walk import chat, look_over
from tests.installation import Installation

pytestmark = pytest.mark.server

PASSWORD = "a-fine-day-for-tolls"
PREPARE = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from config.money import NANO
from ledger import services as ledger
from paywalls.models import Paywall
from paywalls.users import UserRef
from webhooks import services as webhooks
from webhooks.models import Delivery

for name in ("operator", "guarded"):
    User.objects.create_superuser(name, password="{PASSWORD}")
paywall = Paywall.objects.get(name="Acme Chat")
webhooks.create(paywall.pk, url="https://hooks.example.com/acme", events=["*"])
ledger.deposit(UserRef(paywall.pk, "refunded"), 10 * NANO, source="browser:deposit")
ledger.deposit(UserRef(paywall.pk, "spender"), 10 * NANO, source="browser:spender")
Delivery.objects.update(state="exhausted", attempts=8, next_attempt_at=None)
"""


@pytest.fixture(scope="module")
def prepared(site: Installation) -> None:
    """An operator, an end user with ten dollars, and a delivery that was given up."""
    done: subprocess.CompletedProcess[str] = site.manage("shell", "-c", PREPARE)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def operator(new_page: Callable[..., Page], site: Installation, prepared: None) -> Callable[..., Page]:
    """Makes pages of somebody who is logged in; the options are those of `new_page`."""

    def log_in(**options: object) -> Page:
        page = new_page(**options)
        give_password(page, site, "operator")
        page.wait_for_url(re.compile("/admin/$"))
        return page

    return log_in


def give_password(page: Page, site: Installation, name: str) -> None:
    page.goto(f"{site.url()}/admin/login/")
    look_over(page)
    page.locator("#id_username").fill(name)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("button[type=submit]").click()


def test_a_paywall_is_set_up_and_answers(operator: Callable[..., Page], site: Installation) -> None:
    page = operator()
    page.goto(f"{site.url()}/admin/paywalls/paywall/set_up/")
    look_over(page)
    page.get_by_label("Name").fill("Made in a minute")
    page.get_by_label("Trial credit").fill("1")
    page.get_by_role("button", name="Next").click()
    page.locator("#id_kind").select_option("sandbox")
    look_over(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Sell echo", exact=True).check()
    page.get_by_label("Prompt price echo").fill("3")
    look_over(page)
    page.get_by_role("button", name="Next").click()
    look_over(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Issue a key").click()
    key = page.locator(".issued-key").inner_text()
    site.keys["Made in a minute"] = key
    assert "http" not in chat(site, "Made in a minute", "first")
    [model] = site.sql("SELECT prompt_price FROM paywalls_paywallmodel WHERE prompt_price = 3000000000")
    assert model


def test_a_charge_and_its_refund_on_a_phone_in_the_dark(
    operator: Callable[..., Page], site: Installation
) -> None:
    page = operator(viewport={"width": 360, "height": 740}, color_scheme="dark")
    [user] = site.sql("SELECT id FROM paywalls_enduser WHERE external_id = 'refunded'")
    address = f"{site.url()}/admin/paywalls/enduser/{user['id']}"
    page.goto(f"{address}/charge/")
    look_over(page)
    page.get_by_label("Amount").fill("4")
    page.get_by_label("Reason").fill("a workshop")
    page.get_by_role("button", name="Charge").click()
    page.wait_for_url(f"{address}/change/")
    look_over(page)
    page.get_by_role("link", name="Refund", exact=True).click()
    page.get_by_label("Amount").fill("1.50")
    page.get_by_label("Reason").fill("it was short")
    look_over(page)
    page.get_by_role("button", name="Refund", exact=True).dblclick()
    # Not `wait_for_url`: the second click cuts the first one's way short.
    expect(page).to_have_url(f"{address}/change/")
    expect(page.locator(".figures")).to_contain_text("$7.50")
    [account] = site.sql("SELECT posted FROM ledger_account WHERE user_id = %s", user["id"])
    assert account["posted"] == 7_500_000_000


def test_a_key_is_rotated_and_both_work(operator: Callable[..., Page], site: Installation) -> None:
    page = operator()
    [paywall] = site.sql("SELECT id FROM paywalls_paywall WHERE name = 'Poet'")
    page.goto(f"{site.url()}/admin/paywalls/paywall/{paywall['id']}/change/")
    look_over(page)
    page.locator("a:not([href])", has_text="Keys").click()
    page.get_by_role("link", name="Rotate the key").click()
    look_over(page)
    page.get_by_label("1 hour").check()
    page.get_by_role("button", name="Rotate").click()
    new, old = page.locator(".issued-key").inner_text(), site.keys["Poet"]
    look_over(page)
    for key in (old, new):
        assert site.client(api_key=key).models.list().data


def test_a_delivery_is_sent_again(operator: Callable[..., Page], site: Installation) -> None:
    page = operator()
    page.goto(f"{site.url()}/admin/webhooks/delivery/?state__exact=exhausted")
    look_over(page)
    page.locator("#result_list th a").first.click()
    look_over(page)
    page.get_by_role("link", name="Send again").first.click()
    look_over(page)
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("1 will be sent again.")).to_be_visible()
    # What it was tried before counts no more; the worker may have sent it already.
    assert site.sql("SELECT 1 FROM webhooks_delivery WHERE forgiven > 0")


def test_prices_show_their_margin_while_one_types(operator: Callable[..., Page], site: Installation) -> None:
    page = operator()
    page.goto(f"{site.url()}/admin/paywalls/paywallmodel/price_table/")
    look_over(page)
    row = page.locator("[data-prices]").first
    row.get_by_label("Prompt price of").fill("4")
    row.get_by_label("Prompt cost of").fill("1")
    expect(row.locator("[data-margin]")).to_contain_text("prompt: 75 %")
    row.get_by_label("Prompt cost of").fill("5")
    expect(row.locator("[data-margin]")).to_contain_text("prompt: below cost")


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}])
def test_the_overview_says_what_was_earned_in_charts_and_tables(
    options: dict[str, object], operator: Callable[..., Page], site: Installation
) -> None:
    assert "http" not in chat(site, "Acme Chat", "spender")
    page = operator(**options)
    page.goto(f"{site.url()}/admin/?days=7")
    expect(page.get_by_text("Who paid most")).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    look_over(page)
    page.locator("details summary").first.click()
    expect(page.locator("details table").first).to_be_visible()
    look_over(page)


def test_two_factor_log_in_is_set_up_and_a_session_ended(
    new_page: Callable[..., Page], site: Installation, prepared: None
) -> None:
    page = new_page()
    give_password(page, site, "guarded")
    page.goto(f"{site.url()}/admin/account/")
    look_over(page)
    page.get_by_role("link", name="Set it up").click()
    look_over(page)
    secret = page.locator("[data-secret]").inner_text().replace(" ", "")
    page.get_by_label("Your password").fill(PASSWORD)
    page.locator("#id_code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Switch on").click()
    recovery = page.locator("[data-recovery]").first.inner_text()
    look_over(page)

    phone = new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    give_password(phone, site, "guarded")
    look_over(phone)
    phone.locator("#id_code").fill(recovery)
    phone.get_by_role("button", name="Log in").click()
    phone.wait_for_url(re.compile("/admin/$"))
    phone.goto(f"{site.url()}/admin/account/")
    look_over(phone)

    page.goto(f"{site.url()}/admin/account/")
    page.get_by_role("button", name="End the session").click()
    expect(page.get_by_text("The session was ended.")).to_be_visible()
    phone.goto(f"{site.url()}/admin/account/")
    phone.wait_for_url(re.compile("/admin/login/"))
