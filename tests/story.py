"""What the stories in the tests share: a document to apply, and looking at the books from outside."""

import re

import httpx

HELLO = [{"role": "user", "content": "Hello"}]


def document(upstream=None, *, trial="0.05", markup="20", pricing=None, **model):
    """Two models: `fake/plain` of the fake provider (where one is given), `sandbox/echo` of the sandbox."""
    pricing = pricing or {"prompt": "1", "completion": "2", "request": "0.0001"}
    providers = [{"name": "sandbox", "base_url": "sandbox://"}]
    models = [
        {"id": f"sandbox/{name}", "provider": "sandbox", "upstream_model": name, "pricing": pricing, **model}
        for name in ("echo", "error", "breaks", "no-usage")
    ]
    if upstream:
        providers.append({"name": "fake", "base_url": upstream.base_url, "api_key": "sk-provider"})
        models.append(
            {"id": "fake/model", "provider": "fake", "upstream_model": "up", "pricing": pricing, **model}
        )
    paywall = {
        "name": "Acme Chat",
        "trial_credit": trial,
        "markup_percent": markup,
        "providers": providers,
        "models": models,
    }
    return {"tenant": {"name": "Acme", "email": "ops@acme.test"}, "paywalls": [paywall]}


def balance(site, user="alice", server=0):
    """What the API says that a user has (nano-dollars)."""
    answer = httpx.get(
        f"{site.url(server)}/v1/user/balance",
        params={"user": user},
        headers={"authorization": f"Bearer {site.key}"},
    )
    return int(answer.raise_for_status().json()["balance"])


def deposit(site, amount, user="alice"):
    """Add US dollars to a user's balance through the API."""
    answer = httpx.post(
        f"{site.url()}/v1/user/balance/deposit",
        json={"user": user, "amount": amount},
        headers={"authorization": f"Bearer {site.key}"},
    )
    answer.raise_for_status()


def charges(site):
    """The usage charges on the ledger, oldest first."""
    return site.sql(
        "SELECT amount, metadata, request_id FROM ledger_transfer WHERE kind = 'usage' ORDER BY id"
    )


def assert_books_sum(site):
    """`verify_ledger` is content, and no hold is left."""
    done = site.manage("verify_ledger")
    assert done.returncode == 0, done.stderr
    assert site.sql("SELECT id FROM ledger_hold WHERE state = 'open'") == []


def pay(link, amount="5"):
    """Pay a top-up link as a browser without JavaScript would."""
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(link)
        assert page.status_code == 200
        assert "No real money" in page.text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text).group(1)
        done = browser.post(
            link, data={"csrfmiddlewaretoken": token, "amount": amount}, headers={"referer": link}
        )
        assert done.status_code == 200, done.text
