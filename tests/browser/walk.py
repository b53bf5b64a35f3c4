"""What people do in front of these pages."""

import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.installation import Installation

_SERIOUS = {"serious", "critical"}


def chat(site: Installation, paywall: str, user: str) -> str:
    """What the chat answers a user of a paywall."""
    client = site.client(api_key=site.keys[paywall])
    hello: Any = [{"role": "user", "content": "Hello"}]
    answer = client.chat.completions.create(model="sandbox/echo", user=user, messages=hello)
    return answer.choices[0].message.content or ""


def link_in(text: str) -> str:
    """The link of a paywall's answer."""
    found = re.search(r"https?://\S+", text)
    assert found, text
    return found[0].rstrip(".")


def sign_in(page: Page, email: str) -> None:
    """From the form that asks for an address to the page that asked for a sign-in."""
    page.locator("#email").fill(email)
    page.locator("button[type=submit]").click()
    shown = page.locator(".notice").inner_text()
    found = re.search(r"\d{6}", shown)
    assert found, shown
    page.locator("#code").fill(found[0])
    page.locator("button[type=submit]").click()


def pay_at_stripe(page: Page, amount: str) -> None:
    """From the amount that is chosen, over Stripe's page, to the page that says what was added."""
    page.get_by_role("button", name="Go on to payment").click()
    expect(page.locator("h1")).to_have_text(f"Pay {amount}")
    page.get_by_role("button", name="Pay now").click()
    expect(page.locator(".tick")).to_be_visible(timeout=15_000)


def look_over(page: Page) -> None:
    """Nothing that axe-core finds serious, nothing wider than the screen, and the strict policy."""
    # The page itself may run no script; axe is put in by the browser's own means, past the policy.
    found = Axe().run(page).response["violations"]
    serious = [
        f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes']]}"
        for rule in found
        if rule["impact"] in _SERIOUS
    ]
    assert serious == []
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(too_wide), f"{page.url} is wider than its screen"
