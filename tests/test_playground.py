"""A playground from outside: its page, its chat, its limits, over HTTP on two server processes."""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.fake_upstream import DIE, DONE, HELLO, USAGE, FakeUpstream, chunk
from tests.installation import Installation

pytestmark = pytest.mark.server

MESSAGES = [{"role": "user", "content": "Hello"}]
PLAIN = {"prompt": "0", "completion": "0", "request": "0.25"}


def paywall(name, upstream, **more):
    model = {"provider": "fake", "upstream_model": "fake", "pricing": PLAIN, "max_output_tokens": 50}
    return {
        "name": name,
        "trial_credit": "1",
        "providers": [
            {"name": "fake", "base_url": upstream.base_url},
            {"name": "sandbox", "base_url": "sandbox://"},
        ],
        "models": [
            {**model, "id": "fake/model", "display_name": "Fake", "description": "Says hello."},
            {**model, "id": "dear/model", "pricing": {**PLAIN, "request": "2"}},
        ],
        "playground": {},
        **more,
    }


STREAM = (*HELLO, chunk(usage=USAGE), DONE)
SHARED = {"mode": "shared", "trial_credit": "0"}


@pytest.fixture(scope="module")
def running():
    with FakeUpstream() as upstream:
        tight = {"visitor": {"spend_per_day": "0.5"}, "link": {"spend_per_day": "1.2"}}
        document = {
            "tenant": {"name": "Acme", "email": "ops@acme.test"},
            "paywalls": [
                paywall("Open", upstream, playground={"visitor": {"spend_per_day": "5"}}),
                paywall("Tight", upstream, playground=tight),
                paywall("Rated", upstream, playground={"visitor": {"requests_per_minute": 2}}),
                paywall("Crowded", upstream, playground={"link": {"requests_per_minute": 3}}),
                paywall("Shared", upstream, **SHARED),
                paywall("Rotated", upstream),
                paywall("Closing", upstream),
            ],
        }
        with Installation.running(document, servers=2) as site:
            site.upstream = upstream
            yield site


@pytest.fixture
def site(running):
    running.upstream.streams(*STREAM)
    running.upstream.requests.clear()
    return running


def links_of(site):
    """The addresses of the playgrounds by their paywalls' names, as the operators' site shows them."""
    code = "import json; from paywalls import playgrounds; from paywalls.models import Playground; "
    code += (
        "print('\\n', json.dumps({p.paywall.name: playgrounds.url_of(p) for p in Playground.objects.all()}))"
    )
    shown = site.manage("shell", "-c", code)
    return json.loads(shown.stdout.splitlines()[-1])


class Visitor:
    """Somebody with a browser of their own, who has opened the link."""

    def __init__(self, site, link, *, opened=True):
        self.site, self.link, self.session = site, link, requests.Session()
        self.session.headers["X-Playground-Link"] = link.rpartition("/")[2]
        if opened:
            assert self.open().status_code == 200

    def open(self):
        return self.session.get(self.link)

    def chat(self, *, server=0, headers=None, **body):
        body = {"model": "fake/model", "messages": MESSAGES, **body}
        address = f"{self.site.url(server)}/playground/chat"
        return self.session.post(address, json=body, headers=headers or {}, timeout=60)

    def account(self, answer):
        query = {"request": answer.headers["x-request-id"]}
        return self.session.get(f"{self.site.url()}/playground/account", params=query).json()


@pytest.fixture(scope="module")
def links(running):
    return links_of(running)


def visit(site, links, name):
    return Visitor(site, links[name])


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


# --- The page -----------------------------------------------------------------------------------------------


def test_the_page_names_models_and_prices_and_is_locked_down(site, links):
    answer = Visitor(site, links["Open"]).open()
    assert "Fake" in answer.text
    assert "$0.25 a request" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert not re.search(r"\son\w+=|style=", answer.text)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Request and response" not in answer.text, "that is for operators"


def test_a_link_that_is_none_a_link_that_was_and_one_of_an_archived_paywall(site, links):
    link = links["Closing"]
    visitor = Visitor(site, link)
    assert requests.get(link[:-3] + "AAA").status_code == 404
    assert requests.get(f"{site.url()}/playground/%00").status_code == 404
    site.sql(
        "UPDATE paywalls_playground p SET is_on = false FROM paywalls_paywall w "
        "WHERE w.id = p.paywall_id AND w.name = 'Closing'"
    )
    assert requests.get(link).status_code == 410
    assert code_of(visitor.chat()) == (410, "playground_closed")
    site.sql("UPDATE paywalls_playground SET is_on = true")
    assert visitor.chat().status_code == 200
    site.sql("UPDATE paywalls_paywall SET archived_at = now() WHERE name = 'Closing'")
    assert requests.get(link).status_code == 410
    assert code_of(visitor.chat(server=1)) == (410, "playground_closed")
    assert code_of(visitor.chat()) == (410, "playground_closed"), "also where the paywall was in the cache"


def test_a_rotated_link_opens_nothing_and_the_new_one_finds_the_same_visitor(site, links):
    visitor = visit(site, links, "Rotated")
    assert visitor.chat().status_code == 200
    code = "from paywalls import playgrounds as p; from paywalls.models import Playground as P; "
    done = site.manage("shell", "-c", f"{code}p.rotate(P.objects.get(paywall__name='Rotated'))")
    assert done.returncode == 0, done.stderr
    assert requests.get(links["Rotated"]).status_code == 410
    assert code_of(visitor.chat()) == (410, "playground_closed")
    new = links_of(site)["Rotated"]
    assert new != links["Rotated"]
    again = Visitor(site, new, opened=False)
    again.session.cookies = visitor.session.cookies
    assert again.open().status_code == 200
    assert again.account(again.chat())["balance"] == "$0.50"


# --- The chat -----------------------------------------------------------------------------------------------


def test_an_answer_streams_is_charged_to_the_visitor_and_says_what_it_cost(site, links):
    visitor = visit(site, links, "Open")
    answer = visitor.chat()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    account = visitor.account(answer)
    assert (account["balance"], account["request"]["cost"]) == ("$0.75", "$0.25")
    [row] = site.sql(
        "SELECT external_id, status, charge, streamed FROM ledger_proxyrequest WHERE id = %s",
        answer.headers["x-request-id"].removeprefix("req_"),
    )
    assert re.fullmatch(r"playground-[0-9a-f]{32}", row.pop("external_id"))
    assert row == {"status": "completed", "charge": 250_000_000, "streamed": True}
    stranger = visit(site, links, "Open")
    assert stranger.account(answer)["request"] is None, "another's request is nobody's business"


def test_the_key_is_in_no_answer_and_no_cookie(site, links):
    visitor = visit(site, links, "Open")
    answers = [visitor.open(), visitor.chat(), visitor.chat(model="no/model")]
    answers.append(visitor.session.get(f"{site.url()}/playground/account"))
    for answer in answers:
        assert site.keys["Open"][-12:] not in answer.text + str(answer.headers)


def test_what_a_visitor_adds_to_the_request_is_dropped(site, links):
    visitor = visit(site, links, "Open")
    headers = {"X-Paywall-User": "somebody-else"}
    answer = visitor.chat(user="somebody-else", n=5, max_tokens=1, headers=headers)
    assert answer.status_code == 200
    [request] = site.upstream.requests
    assert {"user", "n"} & request.body.keys() == set()
    assert request.body["max_tokens"] == 50
    assert "cookie" not in {name.lower() for name in request.headers}
    assert site.sql("SELECT 1 FROM paywalls_enduser WHERE external_id = 'somebody-else'") == []


def test_who_has_no_money_reads_the_link_to_add_some(site, links):
    visitor = visit(site, links, "Open")
    answer = visitor.chat(model="dear/model", headers={"X-Paywall-Reply": "message"})
    assert answer.headers["x-paywall-decision"] == "insufficient_funds"
    assert f"{site.url()}/t/" in answer.text


def test_a_visitor_of_a_shared_paywall_reads_the_link_to_authorize(site, links):
    visitor = visit(site, links, "Shared")
    answer = visitor.chat()
    assert answer.headers["x-paywall-decision"] == "authorization_required"
    assert f"{site.url()}/c/" in answer.text
    assert visitor.account(answer)["connected"] is False


def test_a_blocked_visitor_is_told_so(site, links):
    visitor = visit(site, links, "Open")
    answer = visitor.chat()
    site.sql(
        "UPDATE paywalls_enduser SET blocked_at = now() WHERE external_id = "
        "(SELECT external_id FROM ledger_proxyrequest WHERE id = %s)",
        answer.headers["x-request-id"].removeprefix("req_"),
    )
    assert code_of(visitor.chat()) == (403, "user_blocked")
    page = visitor.open()
    assert (page.status_code, "is blocked" in page.text) == (403, True)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "https://evil.test"}, "origin_not_allowed"),
        ({"Origin": "null"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_not_allowed"),
        ({"Cookie": "playground_visitor=AAAAAAAAAAAAAAAAAAAAAA:forged"}, "unknown_visitor"),
        ({"Cookie": ""}, "unknown_visitor"),
    ],
)
def test_only_the_page_may_ask_and_only_for_its_visitor(site, links, headers, code):
    visitor = visit(site, links, "Open")
    if "Cookie" in headers:
        visitor.session.cookies.clear()
    assert code_of(visitor.chat(headers=headers)) == (403, code)
    assert site.upstream.requests == []


def test_a_link_is_no_key_and_a_key_no_link(site, links):
    token = links["Open"].rpartition("/")[2]
    bearer = {"authorization": f"Bearer {token}"}
    body = {"model": "fake/model", "messages": MESSAGES, "user": "x"}
    assert requests.post(f"{site.url()}/v1/chat/completions", json=body, headers=bearer).status_code == 401
    visitor = visit(site, links, "Open")
    headers = {"X-Playground-Link": site.keys["Open"]}
    assert code_of(visitor.chat(headers=headers)) == (404, "playground_not_found")
    assert requests.options(f"{site.url()}/playground/chat").status_code in {404, 405}


# --- Limits -------------------------------------------------------------------------------------------------


def used(site, name):
    [row] = site.sql(
        "SELECT used FROM paywalls_playgroundday d JOIN paywalls_playground p ON p.id = d.playground_id "
        "JOIN paywalls_paywall w ON w.id = p.paywall_id WHERE w.name = %s",
        name,
    )
    return row["used"]


def test_of_many_visitors_at_once_the_link_lets_through_what_its_day_pays_for(site, links):
    visitors = [visit(site, links, "Tight") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: visitors[n].chat(server=n % 2), range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 4, 429: 4}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert code_of(refused) == (429, "spend_limit_reached")
    assert "This playground's spending limit" in refused.json()["error"]["message"]
    assert (used(site, "Tight"), len(site.upstream.requests)) == (1_000_000_000, 4)
    # What an operator allows counts from the next request on; a visitor's own limit stands beside it.
    site.sql("UPDATE paywalls_playground SET link_spend_per_day = 5000000000")
    spender = next(v for v, answer in zip(visitors, answers, strict=True) if answer.status_code == 200)
    assert spender.chat().status_code == 200
    over = spender.chat()
    assert code_of(over) == (429, "spend_limit_reached")
    assert "Your spending limit" in over.json()["error"]["message"]
    assert used(site, "Tight") == 1_250_000_000, "a request that was refused gives its part back"


def test_a_request_that_fails_costs_the_link_nothing(site, links):
    visitor = visit(site, links, "Rated")
    site.upstream.streams(DIE)
    assert visitor.chat(headers={"X-Paywall-Reply": "error"}).status_code in {502, 503}
    assert used(site, "Rated") == 0


def test_a_visitor_s_rate_and_the_link_s(site, links):
    visitor = visit(site, links, "Rated")
    assert [visitor.chat().status_code for _ in range(3)] == [200, 200, 429]
    assert visit(site, links, "Rated").chat().status_code == 200, "others have a minute of their own"
    crowd = [visit(site, links, "Crowded").chat() for _ in range(4)]
    assert [answer.status_code for answer in crowd] == [200, 200, 200, 429]
    assert code_of(crowd[-1]) == (429, "playground_busy")
    assert int(crowd[-1].headers["retry-after"]) >= 1
    site.sql("UPDATE paywalls_playground SET link_requests_per_minute = 60")
    assert visit(site, links, "Crowded").chat().status_code == 200
