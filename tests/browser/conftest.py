"""A browser for tests: pages against a running installation, each looked over for what keeps people out.

    def test_something(page, site):
        page.goto(site.url() + "/wallet")
        look_over(page)

Acme Chat is paid in the sandbox, Till through a Stripe of its own, and the wallet of Oracle and Poet through the
installation's; both are `stripe`, a fake with a page to pay on. `page` is a fresh browser context (no cookies,
English); `new_page(locale="de", …)` makes more. A page that writes an error to its console, such as a breach of its
Content-Security-Policy, fails its test.
"""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import chromium
from tests.fake_stripe import KEY, FakeStripe
from tests.installation import Installation

DOCUMENT: dict[str, Any] = {
    "tenant": {"name": "Acme", "email": "ops@acme.test"},
    "paywalls": [
        {
            "name": name,
            "mode": mode,
            "playground": {},
            "description": "Answers to everything.\nFor a fee.",
            "providers": [{"name": "sandbox", "base_url": "sandbox://"}],
            "models": [
                {
                    "id": "sandbox/echo",
                    "provider": "sandbox",
                    "upstream_model": "echo",
                    "pricing": {"prompt": "1", "completion": "2", "request": "0.01"},
                    "max_output_tokens": 256,
                }
            ],
        }
        for name, mode in (
            ("Acme Chat", "default"),
            ("Till", "default"),
            ("Oracle", "shared"),
            ("Poet", "shared"),
        )
    ],
}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


@pytest.fixture(scope="session")
def stripe() -> Iterator[FakeStripe]:
    """Where money is paid."""
    with FakeStripe() as running:
        yield running


@pytest.fixture(scope="session")
def site(stripe: FakeStripe) -> Iterator[Installation]:
    """One installation for all tests of the browser: each uses people of its own."""
    document = copy.deepcopy(DOCUMENT)
    till = document["paywalls"][1]
    till["stripe"] = {"secret_key": KEY}
    till["topup"] = {"return_origins": ["https://app.example.com"]}
    till["plans"] = [{"name": "Pro", "price": stripe.add_price(2000), "credit": "25"}]
    env = {"SANDBOX_MAIL": "true", "STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": KEY}
    with Installation.running(document, env=env) as running:
        connected = running.manage(
            "shell", "-c", "from ledger.payments import upkeep; assert upkeep.keep_connected() == 0"
        )
        assert connected.returncode == 0, connected.stderr
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once a file: while it runs, Django takes the thread for an event loop's."""
    program = chromium.path()
    if program is None:
        pytest.skip(
            "NO BROWSER: these tests need Chromium, which can't be installed here (apt-get install chromium)"
        )
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes pages in contexts of their own; the options are those of `Browser.new_context`."""
    contexts, complaints = [], []

    def make(**options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-US", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda said: complaints.append(said.text) if _is_ours(said) else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page of somebody who was never here."""
    return new_page()


def _is_ours(said: Any) -> bool:
    """A status such as 410 or 422 is an answer; everything else that a console calls an error is a fault."""
    return said.type == "error" and not re.search(r"the server responded with a status of 4\d\d", said.text)
