"""Who pays what: a test for each row of the table in docs/gateway.md, named by the row."""

import re
import threading
import time
from dataclasses import dataclass, field

import httpx
import pytest

from tests import databases, environment
from tests.fake_upstream import DIE, DONE, HELLO, USAGE, FakeUpstream, chunk, completion
from tests.installation import Installation
from tests.leaver import Leaver, wait_for
from tests.story import HELLO as MESSAGES
from tests.story import assert_books_sum, document

pytestmark = pytest.mark.server

PRICING = {"prompt": "1", "completion": "2"}
PROMPT_NANO, OUTPUT_NANO = 1_000, 2_000
# As we count them: the prompt, and "Hello there." of the provider's HELLO.
PROMPT, SAID = 8, 3
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
FOREVER = 30


def rows():
    """What happens, and the charge, of each row of the docs' table."""
    text = (environment.ROOT / "docs" / "gateway.md").read_text().partition("## Who pays what")[2]
    table = re.search(r"\|---\|---\|---\|\n((?:\|.*\n)+)", text)[1]
    cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    return {happens: charge for _, happens, _, charge, _ in cells}


@dataclass
class Shop:
    """The gateway, its provider, and the request under test; an outcome tells what text came."""

    site: Installation
    upstream: FakeUpstream
    # Tokens of text that had come, as we count them.
    text: int = SAID
    # The charges before.
    before: int = 0
    body: dict = field(default_factory=lambda: {"model": "fake/model", "messages": MESSAGES, "user": "alice"})

    def post(self, **more):
        headers = {"authorization": f"Bearer {self.site.key}", "x-paywall-reply": "error"}
        url = f"{self.site.url()}/v1/chat/completions"
        return httpx.post(url, json={**self.body, **more}, headers=headers, timeout=30)

    def plain(self, status=200, **more):
        answer = self.post(**more)
        assert answer.status_code == status, answer.text
        return answer

    def stream(self, **more):
        """The bytes of a stream for a client that asked for usage."""
        return self.plain(stream=True, stream_options={"include_usage": True}, **more).content

    def leave(self, *script, marker=b"", **more):
        """Leave the stream once `marker` came; the provider would go on."""
        self.upstream.streams(*script, FOREVER)
        asked = {"stream": True, "stream_options": {"include_usage": True}, **more}
        leaver = Leaver(self.site, {**self.body, **asked})
        seen = wait_for(lambda: self.upstream.requests and self.upstream.requests[-1])
        leaver.leave_after(marker)
        assert seen.aborted.wait(1), "the provider goes on generating"

    def usages(self, *usages):
        self.upstream.streams(*HELLO, *(chunk(usage=usage) for usage in usages), DONE)
        self.stream()

    def charges(self):
        """The usage charges since the test began, once every hold is resolved."""
        wait_for(lambda: not self.site.sql("SELECT 1 FROM ledger_hold WHERE state = 'open'"))
        return self.site.sql(
            "SELECT amount, metadata FROM ledger_transfer WHERE kind = 'usage' ORDER BY id OFFSET %s",
            self.before,
        )


OUTCOMES = {}


def outcome(row):
    """Registers what brings a row's outcome about."""

    def register(story):
        OUTCOMES[row] = story
        return story

    return register


@outcome("the provider answers with usage")
def _(shop):
    assert shop.plain().json()["usage"] == USAGE


@outcome("a stream reports usage")
def _(shop):
    assert shop.stream().endswith(chunk(usage=USAGE) + DONE)


@outcome("usage is absent")
def _(shop):
    shop.upstream.answers(completion(usage=None))
    shop.plain()


@outcome("usage is `null`")
def _(shop):
    shop.usages(None)


@outcome("usage is `{}`")
def _(shop):
    shop.usages({})


@outcome("usage is zero")
def _(shop):
    shop.usages(ZERO)


@outcome("usage comes twice")
def _(shop):
    shop.usages(USAGE, USAGE)


@outcome("usage comes in every chunk, adding up")
def _(shop):
    shop.usages(*({**USAGE, "completion_tokens": tokens} for tokens in (0, 1, 2, 3)))


@outcome("the client leaves before the first chunk")
def _(shop):
    shop.leave()


@outcome("the client leaves after the first chunk")
def _(shop):
    shop.leave(chunk({"role": "assistant", "content": "Hello"}), marker=b"Hello")
    shop.text = 1


@outcome("the client leaves after some chunks")
def _(shop):
    shop.leave(*HELLO[:3], marker=b"there")


@outcome("the client leaves after all text, before the usage")
def _(shop):
    shop.leave(*HELLO, marker=b'finish_reason": "stop')


@outcome("the client leaves after the usage, before `[DONE]`")
def _(shop):
    shop.leave(*HELLO, chunk(usage=USAGE), marker=b"prompt_tokens")


@outcome("the client leaves a plain call")
def _(shop):
    shop.upstream.delay = FOREVER
    shop.leave(stream=False, stream_options=None)


@outcome("the provider can't be reached")
def _(shop):
    told = shop.plain(502, model="nobody/model")
    assert told.json()["error"]["code"] == "provider_unreachable"


@outcome("the provider dies before its answer")
def _(shop):
    shop.upstream.answers(DIE)
    shop.plain(502)


@outcome("the provider dies inside of a plain answer")
def _(shop):
    shop.plain(502, model="sandbox/breaks")


@outcome("a plain answer is no JSON")
def _(shop):
    shop.upstream.answers(b"<html>")
    shop.plain(502)


def refused(shop, status, answered):
    shop.upstream.answers(
        {"error": {"message": "no", "type": "t", "param": None, "code": "c"}}, status=status
    )
    shop.plain(answered)
    shop.plain(answered, stream=True)


@outcome("the provider refuses the request (400, 404, 413, 415, 422)")
def _(shop):
    for status in (400, 404, 413, 415, 422):
        refused(shop, status, status)


@outcome("the provider refuses our key, or fails (401, 402, 403, 5xx)")
def _(shop):
    for status in (401, 402, 403, 500, 503):
        refused(shop, status, 502)


@outcome("the provider limits us (429)")
def _(shop):
    refused(shop, 429, 503)


@outcome("the provider's first byte does not come in time")
def _(shop):
    shop.upstream.delay = FOREVER
    told = shop.plain(502, model="slow/model")
    assert told.json()["error"]["code"] == "provider_timeout"


@outcome("another route answers after one has failed")
def _(shop):
    assert shop.plain(model="routed/model").json()["usage"] == USAGE
    assert len(shop.upstream.requests) == 1


@outcome("every route has failed lately")
def _(shop):
    shop.site.kill(0)
    shop.site.env["BREAKER_FAILURES"] = "1"
    shop.site.start_server(0)
    try:
        shop.plain(502, model="nobody/model")
        told = shop.plain(503, model="nobody/model")
        assert told.json()["error"]["code"] == "provider_unavailable"
        assert int(told.headers["retry-after"]) > 0
    finally:
        shop.site.kill(0)
        shop.site.env["BREAKER_FAILURES"] = "1000000"
        shop.site.start_server(0)


@outcome("the client leaves between two tries")
def _(shop):
    shop.site.kill(0)
    shop.site.env["UPSTREAM_ATTEMPTS"] = "3"
    shop.site.start_server(0)
    try:
        shop.upstream.answers({}, status=503, headers={"retry-after": "4"})
        leaver = Leaver(shop.site, shop.body)
        wait_for(lambda: shop.upstream.requests)
        # Its refusal is read by then, and the second try is seconds away.
        time.sleep(1)
        leaver.leave_after()
        wait_for(
            lambda: shop.site.sql(
                "SELECT 1 FROM ledger_proxyrequest WHERE status = 'canceled' AND attempts = 1 AND http_status = 499"
                " AND charge = 0"
            )
        )
        assert len(shop.upstream.requests) == 1
    finally:
        shop.site.kill(0)
        shop.site.env["UPSTREAM_ATTEMPTS"] = "1"
        shop.site.start_server(0)


@outcome("the provider dies before the first chunk")
def _(shop):
    shop.upstream.streams(DIE)
    shop.plain(502, stream=True)


@outcome("the provider dies after some chunks")
def _(shop):
    shop.upstream.streams(*HELLO[:3], 0.05, DIE)
    came = shop.stream()
    assert b'"error"' in came
    assert b"[DONE]" not in came


@outcome("the provider dies after the usage, before `[DONE]`")
def _(shop):
    shop.upstream.streams(*HELLO, chunk(usage=USAGE), 0.05, DIE)
    assert b"[DONE]" not in shop.stream()


@outcome("the provider sends an error frame")
def _(shop):
    frame = b'data: {"error": {"message": "' + b"overloaded " * 50 + b'"}}\n\n'
    shop.upstream.streams(*HELLO[:3], frame)
    came = shop.stream()
    assert came.count(b'"error"') == 1
    assert came.endswith(frame)


@outcome("the provider sends an error frame before anything else")
def _(shop):
    shop.upstream.streams(b'data: {"error": {"message": "overloaded", "code": 529}}\n\n', DONE)
    shop.plain(502, stream=True)


@outcome("the provider ends without `[DONE]`")
def _(shop):
    shop.upstream.streams(*HELLO, chunk(usage=USAGE))
    assert shop.stream() == b"".join([*HELLO, chunk(usage=USAGE)])


@outcome("the price changes, or the key is revoked, on the way")
def _(shop):
    shop.upstream.delay = 1.0
    answers = []
    asking = threading.Thread(target=lambda: answers.append(shop.post()))
    asking.start()
    wait_for(lambda: shop.upstream.requests)
    shop.site.sql(
        "UPDATE paywalls_paywallmodel SET prompt_price = prompt_price * 10 WHERE model_id = 'fake/model'"
    )
    shop.site.sql("UPDATE paywalls_paywallkey SET revoked_at = now()")
    try:
        asking.join()
        assert answers[0].status_code == 200
        shop.upstream.delay = 0
        shop.plain(401)
    finally:
        shop.site.sql(
            "UPDATE paywalls_paywallmodel SET prompt_price = prompt_price / 10 WHERE model_id = 'fake/model'"
        )
        shop.site.sql("UPDATE paywalls_paywallkey SET revoked_at = NULL")


@outcome("our process is killed")
def _(shop):
    shop.upstream.streams(*HELLO[:3], FOREVER)
    leaver = Leaver(shop.site, {**shop.body, "stream": True})
    leaver.read_until(b"there")
    shop.site.kill(0)
    leaver.leave_after()
    shop.site.start_server(0)
    assert len(shop.site.sql("SELECT 1 FROM ledger_hold WHERE state = 'open'")) == 1
    shop.site.sql("UPDATE ledger_hold SET expires_at = now() WHERE state = 'open'")
    done = shop.site.manage("shell", "-c", "from ledger import services; services.sweep_stale_holds()")
    assert done.returncode == 0, done.stderr


@outcome("the balance does not cover the worst case")
def _(shop):
    told = shop.plain(402, model="dear/model")
    assert "/t/" in told.json()["error"]["message"]


@outcome("a [limit](limits.md) of requests, tokens or requests at a time is reached")
def _(shop):
    shop.plain(model="limited/model")
    shop.before += 1
    assert int(shop.plain(429, model="limited/model").headers["retry-after"]) > 0


@outcome("a spend limit of the user's is reached")
def _(shop):
    headers = {"authorization": f"Bearer {shop.site.key}"}
    url = f"{shop.site.url()}/v1/user/settings"
    limits = {"user": "alice", "dayLimit": "0"}
    httpx.put(url, json=limits, headers=headers).raise_for_status()
    try:
        assert int(shop.plain(429).headers["retry-after"]) > 0
    finally:
        httpx.put(url, json={**limits, "dayLimit": None}, headers=headers).raise_for_status()


@outcome("the ledger can't be written in time")
def _(shop):
    url = shop.site.env["DATABASE_URL"]
    name = url.partition("?")[0].rpartition("/")[2]
    with databases.connect(databases.url_of("postgres")) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            assert int(shop.plain(503).headers["retry-after"]) > 0
        finally:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert shop.upstream.requests == [], "it was forwarded"
    wait_for(lambda: httpx.get(f"{shop.site.url()}/readyz").status_code == 200, 20)


# What each charge of the table's begins with: tokens of prompt and output, and whether we counted them.
CHARGES = {
    "nothing": None,
    "as reported": lambda text: (USAGE["prompt_tokens"], USAGE["completion_tokens"], False),
    "zero tokens": None,
    "counted by us": lambda text: (PROMPT, SAID, True),
    "the prompt and the text so far": lambda text: (PROMPT, text, True),
    "the prompt": lambda text: (PROMPT, 0, True),
}


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as upstream:
        shop = document(upstream, trial="1", markup="0", pricing=PRICING, max_output_tokens=100)
        paywall = shop["paywalls"][0]
        fake = paywall["models"][-1]
        paywall["providers"].append({"name": "nobody", "base_url": "http://127.0.0.1:1/v1", "api_key": "k"})
        paywall["models"] += [
            {**fake, "id": "nobody/model", "provider": "nobody"},
            {**fake, "id": "limited/model", "limits": {"requests_per_minute": 1}},
            {**fake, "id": "dear/model", "pricing": {"prompt": "1000000", "completion": "1000000"}},
        ]
        paywall["providers"].append(
            {"name": "hasty", "base_url": upstream.base_url, "first_byte_seconds": 0.3}
        )
        paywall["models"] += [
            {**fake, "id": "slow/model", "provider": "hasty"},
            {
                **fake,
                "id": "routed/model",
                "provider": "nobody",
                "routes": [{"provider": "fake", "upstream_model": "up"}],
            },
        ]
        # Failures here are each for itself: neither tried again, nor held against the next test's request.
        env = {"UPSTREAM_ATTEMPTS": "1", "BREAKER_FAILURES": "1000000"}
        with Installation.running(shop, env=env) as site:
            yield site, upstream
            assert_books_sum(site)


@pytest.fixture
def shop(running):
    site, upstream = running
    upstream.answers(completion())
    upstream.streams(*HELLO, chunk(usage=USAGE), DONE)
    upstream.delay = 0.0
    upstream.requests.clear()
    [row] = site.sql("SELECT count(*) AS n FROM ledger_transfer WHERE kind = 'usage'")
    return Shop(site, upstream, before=row["n"])


@pytest.mark.parametrize("row", OUTCOMES)
def test_outcome(shop, row):
    charge = rows()[row]
    expected = next(tokens for words, tokens in CHARGES.items() if charge.startswith(words))
    OUTCOMES[row](shop)
    charged = shop.charges()
    if expected is None:
        assert charged == []
        return
    prompt, output, estimated = expected(shop.text)
    assert [(one["amount"], one["metadata"]["estimated"]) for one in charged] == [
        (prompt * PROMPT_NANO + output * OUTPUT_NANO, estimated)
    ]


def test_every_row_of_the_docs_has_a_test_and_every_test_a_row():
    assert list(OUTCOMES) == list(rows())
