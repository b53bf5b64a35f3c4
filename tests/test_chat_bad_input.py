"""Every bad input is a 4xx that says what to change; nothing is forwarded, charged or left held."""

import json

import httpx
import pytest

from tests.installation import Installation
from tests.story import HELLO, assert_books_sum, document

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def site():
    with Installation.running(document()) as site:
        yield site
        assert site.sql("SELECT 1 FROM ledger_transfer WHERE kind = 'usage'") == []
        assert_books_sum(site)


@pytest.fixture(scope="module")
def other_site():
    with Installation.running(document()) as site:
        yield site


def body(**changes):
    """A good request with some fields changed; None takes one away."""
    good = {"model": "sandbox/echo", "messages": HELLO, "user": "alice", **changes}
    return {name: value for name, value in good.items() if value is not None}


def post(site, content, path="/v1/chat/completions", **headers):
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    headers = {"authorization": f"Bearer {site.key}", "content-type": "application/json", **headers}
    return httpx.post(site.url() + path, content=content, headers=headers, timeout=30)


def error_of(answer):
    """The OpenAI error object; every error has one, with all its members and our request id."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["content-type"] == "application/json"
    return error


@pytest.mark.parametrize(
    ("content", "status", "param", "says"),
    [
        (body(user=None), 400, "user", "name the end user"),
        (body(user=""), 400, "user", "must not be empty"),
        (body(user="x" * 129), 400, "user", "at most 128"),
        (body(user=7), 400, "user", "must be a string"),
        (body(user="a\0b"), 400, "user", "control"),
        (body(model=None), 400, "model", "GET /v1/models"),
        (body(model=["sandbox/echo"]), 400, "model", "GET /v1/models"),
        (body(model="gpt-6"), 404, "model", "does not sell"),
        (body(messages=[]), 400, "messages", "at least one"),
        (body(messages="Hello"), 400, "messages", "must be a list"),
        (body(messages=None), 400, "messages", "must be a list"),
        (body(messages=["Hello"]), 400, "messages[0]", "must be an object"),
        (body(max_tokens=0), 400, "max_tokens", "at least 1"),
        (body(max_tokens=-5), 400, "max_tokens", "at least 1"),
        (body(max_tokens=1.5), 400, "max_tokens", "whole number"),
        (body(max_tokens=True), 400, "max_tokens", "whole number"),
        (body(max_completion_tokens="many"), 400, "max_completion_tokens", "whole number"),
        (body(n=0), 400, "n", "from 1 to 128"),
        (body(n=10**6), 400, "n", "from 1 to 128"),
        (body(stream="yes"), 400, "stream", "true or false"),
        (body(stream=True, stream_options=[]), 400, "stream_options", "an object"),
        (b"{", 400, None, "not valid JSON"),
        (b"", 400, None, "not valid JSON"),
        (b"[]", 400, None, "must be a JSON object"),
        (b'{"model": NaN}', 400, None, "not valid JSON"),
        (b"\xff\xfe", 400, None, "not valid JSON"),
    ],
)
def test_a_bad_request_says_what_to_change(site, content, status, param, says):
    answer = post(site, content)
    assert answer.status_code == status, answer.text
    error = error_of(answer)
    assert error["param"] == param
    assert says in error["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer sk-paywalls-wrong"},
        {"authorization": "Basic abc"},
        {"authorization": "", "x-api-key": "wrong"},
    ],
)
def test_a_missing_or_unknown_key_is_401(site, headers):
    answer = post(site, body(), **headers)
    assert answer.status_code == 401
    assert error_of(answer)["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("size_told", [True, False])
def test_a_20_mb_body_is_413_and_the_client_gets_to_read_it(site, size_told):
    big = json.dumps(body(messages=[{"role": "user", "content": "x" * 20_000_000}])).encode()
    content = big if size_told else iter([big[at : at + 65536] for at in range(0, len(big), 65536)])
    answer = httpx.post(
        site.url() + "/v1/chat/completions",
        content=content,
        headers={"authorization": f"Bearer {site.key}"},
        timeout=60,
    )
    assert answer.status_code == 413
    assert "10,485,760 bytes" in error_of(answer)["message"]


def test_the_wrong_method_is_405(site):
    answer = httpx.get(site.url() + "/v1/chat/completions")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert error_of(answer)["code"] == "method_not_allowed"


def test_an_unknown_path_is_404_in_the_same_shape(site):
    answer = httpx.get(site.url() + "/v1/nothing/here")
    assert answer.status_code == 404
    error_of(answer)


@pytest.mark.parametrize("amount", ["abc", "-1", "NaN", "1e999", "0.0000000001", "0", "", 0.25, None])
@pytest.mark.parametrize("path", ["/v1/user/balance/deposit", "/v1/user/charge"])
def test_an_amount_that_is_none_is_400(site, path, amount):
    answer = post(site, {"user": "alice", "amount": amount}, path)
    assert answer.status_code == 400, answer.text
    assert error_of(answer)["param"] == "amount"


class TestTheUser:
    """The body beats the header, which beats the URL."""

    @pytest.mark.parametrize(
        ("in_body", "headers", "path", "expected"),
        [
            ("body-1", {"x-paywall-user": "header"}, "/v1/url/chat/completions", "body-1"),
            (None, {"x-paywall-user": "header-2"}, "/v1/url/chat/completions", "header-2"),
            (None, {"x-openstack-user": "alias-3"}, "/v1/chat/completions", "alias-3"),
            (None, {"x-paywall-user": "h-4", "x-openstack-user": "alias"}, "/v1/chat/completions", "h-4"),
            (None, {}, "/v1/url-5/chat/completions", "url-5"),
            (None, {}, "/v1/a%2Fb%20%C3%A9/chat/completions", "a/b é"),
            ("x" * 128, {}, "/v1/chat/completions", "x" * 128),
        ],
    )
    def test_precedence(self, other_site, in_body, headers, path, expected):
        answer = post(other_site, body(user=in_body), path, **headers)
        assert answer.status_code == 200, answer.text
        assert other_site.sql("SELECT 1 FROM paywalls_enduser WHERE external_id = %s", expected)

    def test_a_user_that_is_named_badly_is_not_passed_over(self, other_site):
        answer = post(other_site, body(user=""), **{"x-paywall-user": "header"})
        assert answer.status_code == 400


def test_a_body_too_large_for_django_is_refused_before_it_is_kept(site):
    answer = post(site, b"x" * 20_000_000, "/v1/user/charge")
    assert answer.status_code == 413
    error_of(answer)
