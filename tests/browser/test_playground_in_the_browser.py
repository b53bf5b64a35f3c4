"""The playground, as its visitors and operators live it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.walk import look_over
from tests.fake_upstream import DONE, USAGE, FakeUpstream, chunk
from tests.installation import Installation

pytestmark = pytest.mark.server

PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
# What a model may write, or somebody paste.
ATTACKS = """# Title

<script>window.owned = 1</script><img src=x onerror="window.owned = 1"><svg onload="window.owned = 1">
<a href="javascript:window.owned=1">html link</a> [bad](javascript:window.owned=1)
[data](data:text/html,<script>1</script>)
![spy](https://spy.test/?secret) [good](https://example.com/a?b=c) <iframe srcdoc="x"></iframe>
<form action="https://evil.test"><input name="password"></form><style>* { display: none }</style>

```html
<script>window.owned = 1</script>
```

| a | b |
|---|---|
| 1 | <b onmouseover="window.owned=1">2</b> |
"""


@pytest.fixture(scope="module")
def shop(site: Installation) -> Iterator[FakeUpstream]:
    """The paywalls of the browser's installation, two of them with a model that says what a test wants."""
    with FakeUpstream() as upstream:
        fake = {"name": "fake", "base_url": upstream.base_url}
        model = {
            "id": "fake/model",
            "provider": "fake",
            "upstream_model": "up",
            "display_name": "Fake",
            "description": "Says what it is told.",
            "pricing": {"prompt": "0", "completion": "0", "request": "0.25"},
        }
        names = (("Bar", "default", "0.5"), ("Sage", "shared", "0"))
        paywalls = [
            {
                "name": name,
                "mode": mode,
                "trial_credit": trial,
                "description": "Answers to everything.",
                "providers": [fake],
                "models": [model],
                "playground": {},
            }
            for name, mode, trial in names
        ]
        site.apply({"tenant": {"name": "Acme", "email": "ops@acme.test"}, "paywalls": paywalls})
        yield upstream


@pytest.fixture(scope="module")
def links(site: Installation, shop: FakeUpstream) -> dict[str, str]:
    """The playgrounds' addresses, and an operator."""
    code = (
        "import json; from django.contrib.auth.models import User; from paywalls import playgrounds; "
        "from paywalls.models import Playground; "
        "User.objects.create_superuser('opal', 'opal@acme.test', 'opal-secret'); "
        "print('\\n', json.dumps({p.paywall.name: playgrounds.url_of(p) for p in Playground.objects.all()}))"
    )
    shown = site.manage("shell", "-c", code)
    found: dict[str, str] = json.loads(shown.stdout.splitlines()[-1])
    return found


def says(upstream: FakeUpstream, *texts: str, pause: Any = None) -> None:
    """What the model answers from now on, in these pieces."""
    pieces = [chunk({"content": text}) for text in texts]
    end = (chunk({}, finish_reason="stop"), chunk(usage=USAGE), DONE)
    upstream.streams(*pieces, *((pause,) if pause else ()), *end)


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_chat_until_the_money_is_spent_and_add_some(
    page: Page, links: dict[str, str], shop: FakeUpstream
) -> None:
    says(shop, "**Hello** ", "there.\n\nSee https://example.com.")
    page.goto(links["Bar"])
    expect(page.locator("#balance")).to_have_text("Balance: $0.50")
    expect(page.locator("#about-model")).to_have_text("$0.25 a request · Says what it is told.")
    look_over(page)
    for left in ("$0.25", "$0.00"):
        ask(page, "Hi!")
        answer = page.locator(".message.assistant").last
        expect(answer.locator("strong")).to_have_text("Hello")
        expect(answer.locator(".note")).to_contain_text("This answer cost $0.25")
        expect(page.locator("#balance")).to_have_text(f"Balance: {left}")
    expect(page.get_by_role("log")).to_contain_text("Hello there.")
    look_over(page)
    ask(page, "And now?")
    paywall = page.locator(".message.paywall")
    expect(paywall).to_contain_text("Nothing was charged")
    look_over(page)
    with page.expect_popup() as opened:
        paywall.get_by_role("link").click()
    topup = opened.value
    topup.get_by_label("$5", exact=True).check()
    topup.get_by_role("button", name="Pay").click()
    expect(topup.get_by_role("status")).to_contain_text("$5.00")
    topup.close()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".message.assistant")).to_have_count(3)
    expect(page.locator("#balance")).to_have_text("Balance: $4.75")
    # What the paywall said is no part of the conversation; a reload keeps what was said, another tab knows nothing.
    assert [said["role"] for said in shop.requests[-1].body["messages"]] == [
        *("user", "assistant", "user", "assistant", "user")
    ]
    page.reload()
    expect(page.locator(".message")).to_have_count(6)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".message")).to_have_count(0)


def test_nothing_that_is_written_runs(page: Page, links: dict[str, str], shop: FakeUpstream) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    says(shop, *(ATTACKS[at : at + 7] for at in range(0, len(ATTACKS), 7)))
    page.goto(links["Bar"])
    ask(page, ATTACKS)
    answer = page.locator(".message.assistant")
    expect(answer.locator(".note")).to_contain_text("cost")
    assert page.evaluate("window.owned") is None
    for kind in ("script", "img", "svg", "iframe", "form", "input", "style", "[onmouseover]", "[style]"):
        expect(page.locator(f"#messages {kind}")).to_have_count(0)
    links_made = answer.locator("a").all()
    assert "https://example.com/a?b=c" in [link.get_attribute("href") for link in links_made]
    for link in links_made:
        assert (link.get_attribute("href") or "").startswith("https://")
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
    expect(answer.locator("pre")).to_contain_text("<script>window.owned = 1</script>")
    expect(page.locator(".message.user .text")).to_have_text(ATTACKS.strip())
    assert {url.split("/")[2] for url in asked} == {links["Bar"].split("/")[2]}
    look_over(page)


def test_stop_with_the_keyboard_on_a_phone_in_the_dark(
    new_page: Callable[..., Page], links: dict[str, str], shop: FakeUpstream
) -> None:
    page = new_page(locale="de-DE", **PHONE)
    says(shop, "Once upon a time", pause=60)
    page.goto(links["Bar"])
    page.get_by_label("Nachricht", exact=True).fill("Erzähl etwas")
    page.keyboard.press("Enter")
    expect(page.locator(".message.assistant .text")).to_have_text("Once upon a time")
    expect(page.get_by_role("button", name="Anhalten")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".message.assistant .note")).to_contain_text(
        "Angehalten. Diese Antwort kostete 0,25\xa0$"
    )
    expect(page.locator("#balance")).to_have_text("Guthaben: 0,25\xa0$")
    assert shop.requests[-1].aborted.wait(10)
    look_over(page)


def test_errors_are_told_in_words(
    page: Page, links: dict[str, str], site: Installation, shop: FakeUpstream
) -> None:
    says(shop, "Hello.")
    page.goto(links["Bar"])
    page.context.clear_cookies()
    ask(page, "Hi!")
    expect(page.locator(".message.error")).to_contain_text("allow cookies for this site")
    look_over(page)
    page.reload()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".message.assistant .text")).to_have_text("Hello.")


def test_a_shared_paywall_asks_to_authorize(page: Page, links: dict[str, str], shop: FakeUpstream) -> None:
    page.goto(links["Sage"])
    expect(page.locator("#balance")).to_have_text("No wallet connected yet")
    ask(page, "Hi!")
    link = page.locator(".message.paywall").get_by_role("link")
    assert "/c/" in (link.get_attribute("href") or "")
    look_over(page)


def test_an_operator_sees_request_response_and_curl_and_rotates_the_link(
    page: Page, links: dict[str, str], site: Installation, shop: FakeUpstream
) -> None:
    says(shop, "Hello.")
    page.goto(f"{site.url()}/admin/")
    page.locator("[name=username]").fill("opal")
    page.locator("[name=password]").fill("opal-secret")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url()}/admin/")
    [row] = site.sql(
        "SELECT p.id FROM paywalls_playground p JOIN paywalls_paywall w ON w.id = p.paywall_id WHERE w.name = 'Bar'"
    )
    page.goto(f"{site.url()}/admin/paywalls/playground/{row['id']}/change/")
    expect(page.locator("#address")).to_have_text(links["Bar"])
    admin = page.url
    page.goto(links["Bar"])
    ask(page, "It's me")
    expect(page.locator(".message.assistant .text")).to_have_text("Hello.")
    page.get_by_role("tab", name="Chat").focus()
    page.keyboard.press("ArrowRight")
    curl = page.locator("#raw-curl")
    expect(curl).to_contain_text("Authorization: Bearer $TOLLGATE_KEY")
    expect(curl).to_contain_text(r"It'\''s me")
    expect(page.locator("#raw-request")).to_contain_text("POST /v1/chat/completions")
    expect(page.locator("#raw-response")).to_contain_text("x-request-id: req_")
    expect(page.locator("#raw-response")).to_contain_text("data: [DONE]")
    look_over(page)
    assert site.keys["Bar"] not in page.content()
    page.goto(admin)
    page.get_by_role("link", name="Rotate the link").first.click()
    page.get_by_role("button", name="Rotate the link").click()
    expect(page.locator("#address")).not_to_have_text(links["Bar"])
    new = page.locator("#address").inner_text()
    answer = page.goto(links["Bar"])
    assert answer
    assert answer.status == 410
    expect(page.locator("h1")).to_have_text("This playground is closed")
    look_over(page)
    again = page.goto(new)
    assert again
    assert again.status == 200
