"""Who calls and how the paywall answers, from outside: browsers, own headers, blocks, own words; on a real server."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel
from standardwebhooks import Webhook

from tests.fake_upstream import FakeUpstream
from tests.installation import Installation
from tests.issuer import AUDIENCE, Issuer
from tests.receiver import Receiver
from tests.story import HELLO, balance, deposit, document
from tests.threads import in_threads

pytestmark = pytest.mark.server

ORIGIN = "https://app.acme.test"
SECRET = "whsec_" + "A" * 32
CHAT = {"model": "sandbox/echo", "messages": HELLO}


class World:
    """A paywall with an issuer and an endpoint for its words; a broke user is anyone but those with a deposit."""

    def __init__(
        self, site: Installation, issuer: Issuer, receiver: Receiver, upstream: FakeUpstream
    ) -> None:
        self.site, self.issuer, self.receiver, self.upstream = site, issuer, receiver, upstream
        made = site.manage(
            "shell",
            "-c",
            "from paywalls import keys; from paywalls.models import Paywall;"
            "print(keys.issue_key(Paywall.objects.get(), keys.Kind.PUBLISHABLE))",
        )
        self.publishable = made.stdout.split()[-1]

    def call(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key or self.site.key}", **options.pop("headers", {})}
        return httpx.request(method, f"{self.site.url()}/v1{path}", headers=headers, timeout=30, **options)

    def chat(
        self, body: dict[str, Any] | None = None, key: str | None = None, **headers: str
    ) -> httpx.Response:
        return self.call("POST", "/chat/completions", key, json=CHAT | (body or {}), headers=headers)

    def as_browser(self, method: str, path: str, sub: str = "alice", **options: Any) -> httpx.Response:
        headers = {
            "origin": ORIGIN,
            "x-paywall-user-token": self.issuer.token(sub),
            **options.pop("headers", {}),
        }
        return self.call(method, path, self.publishable, headers=headers, **options)

    def configure(self, **settings: Any) -> None:
        changed = document(self.upstream, trial="0")
        changed["paywalls"][0] |= self.settings | settings
        self.site.apply(changed)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "user_headers": ["X-OpenWebUI-User-Id"],
            "allowed_origins": [ORIGIN],
            "user_tokens": {
                "issuer": "https://id.acme.test",
                "audience": AUDIENCE,
                "jwks_url": self.issuer.url,
            },
        }

    def standing(self, verb: str, *arguments: str) -> None:
        told = ", ".join(map(repr, arguments))
        done = self.site.manage(
            "shell",
            "-c",
            "from paywalls import standing; from paywalls.models import EndUser, Paywall;"
            f"paywall = Paywall.objects.get(); {verb.format(told)}",
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    networks = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with (
        Issuer() as issuer,
        Receiver() as receiver,
        FakeUpstream() as upstream,
        Installation.running(document(upstream, trial="0"), env=networks) as site,
    ):
        world = World(site, issuer, receiver, upstream)
        world.configure()
        deposit(site, "5", "alice")
        yield world


@pytest.fixture
def world(made: World) -> World:
    made.receiver.requests.clear()
    return made


class TestUserHeaders:
    def test_the_paywalls_own_header_names_the_user_after_ours(self, world: World) -> None:
        before = balance(world.site)
        assert world.chat(**{"X-OpenWebUI-User-Id": "alice"}).status_code == 200
        assert balance(world.site) < before
        told = world.chat(**{"X-OpenWebUI-User-Id": "alice", "X-Paywall-User": "broke"})
        assert told.headers["x-paywall-decision"] == "insufficient_funds"

    def test_a_header_counts_and_stops_to_count_on_the_very_next_request(self, world: World) -> None:
        assert world.chat(**{"X-Acme-User": "alice"}).json()["error"]["code"] == "missing_user"
        world.configure(user_headers=["X-Acme-User", "X-Other"])
        assert world.chat(**{"X-Acme-User": "alice"}).status_code == 200
        world.configure(user_headers=["X-Other", "X-Acme-User"])
        both = {"X-Acme-User": "alice", "X-Other": "broke"}
        assert world.chat(**both).headers["x-paywall-decision"] == "insufficient_funds"
        world.configure()

    @pytest.mark.parametrize(
        "path", ["chat/completions", "completions", "embeddings", "responses", "messages"]
    )
    def test_every_api_takes_the_user_in_its_address(self, world: World, path: str) -> None:
        body = {"model": "fake/model", "messages": HELLO, "prompt": "x", "input": "x", "max_tokens": 5}
        headers = {"x-paywall-reply": "error"}
        refused = world.call("POST", f"/broke/{path}", json=body, headers=headers)
        assert refused.status_code == 402 or refused.json()["error"]["message"].startswith(
            "model: fake/model"
        )


class TestPublishableKeys:
    def test_a_browser_asks_first_and_is_answered_on_both_sides_of_the_server(self, world: World) -> None:
        for path in ("/chat/completions", "/user/balance"):
            asked = {
                "origin": ORIGIN,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,x-paywall-user-token",
            }
            answer = httpx.options(f"{world.site.url()}/v1{path}", headers=asked)
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "x-paywall-user-token" in answer.headers["access-control-allow-headers"]
            assert "access-control-allow-credentials" not in answer.headers

    def test_with_the_users_token_it_does_what_is_the_users(self, world: World) -> None:
        before = balance(world.site)
        for answer in (
            world.as_browser("GET", "/models"),
            world.as_browser("POST", "/chat/completions", json=CHAT),
            world.as_browser("POST", "/chat/completions", json={**CHAT, "user": "alice", "stream": True}),
            world.as_browser("GET", "/user/balance"),
            world.as_browser("GET", "/user/balance/topup", params={"user": "alice"}),
        ):
            assert answer.status_code == 200, answer.text
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "X-Paywall-Decision" in answer.headers["access-control-expose-headers"]
        assert balance(world.site) < before

    @pytest.mark.parametrize(
        ("method", "path", "options"),
        [
            ("POST", "/chat/completions", {"json": {**CHAT, "user": "bob"}}),
            ("POST", "/bob/chat/completions", {"json": CHAT}),
            ("POST", "/chat/completions", {"json": CHAT, "headers": {"x-paywall-user": "bob"}}),
            ("GET", "/user/balance", {"params": {"user": "bob"}}),
            ("GET", "/user/balance/topup", {"headers": {"x-openwebui-user-id": "bob"}}),
        ],
    )
    def test_nobody_acts_for_another_user(
        self, world: World, method: str, path: str, options: dict[str, Any]
    ) -> None:
        refused = world.as_browser(method, path, **options)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "another_user")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/models"),
            ("POST", "/chat/completions"),
            ("GET", "/user/balance"),
            ("POST", "/user/charge"),
            ("GET", "/webhooks/subscriptions"),
        ],
    )
    def test_without_a_token_it_does_nothing(self, world: World, method: str, path: str) -> None:
        body = {"json": {**CHAT, "user": "alice"}} if method == "POST" else {}
        for token in ({}, {"x-paywall-user-token": "a.b.c"}):
            refused = world.call(method, path, world.publishable, headers=token, **body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_user_token")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/user/balance/deposit"),
            ("POST", "/user/charge"),
            ("POST", "/user/holds"),
            ("GET", "/user/transactions"),
            ("PUT", "/user/settings"),
            ("GET", "/ledger/export"),
            ("GET", "/webhooks/subscriptions"),
            ("POST", "/webhooks/subscriptions"),
        ],
    )
    def test_what_is_the_servers_stays_the_servers(self, world: World, method: str, path: str) -> None:
        body = {"json": {"user": "alice", "amount": "1"}} if method != "GET" else {}
        refused = world.as_browser(method, path, **body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "secret_key_required")

    def test_a_page_of_another_site_is_refused_and_an_app_without_origin_is_not(self, world: World) -> None:
        for path in ("/models", "/user/balance"):
            refused = world.as_browser("GET", path, headers={"origin": "https://evil.test"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed")
            assert "access-control-allow-origin" not in refused.headers
            headers = {"x-paywall-user-token": world.issuer.token()}
            assert world.call("GET", path, world.publishable, headers=headers).status_code == 200

    def test_a_page_that_got_a_secret_key_can_t_read_the_answer(self, world: World) -> None:
        answer = world.call("GET", "/models", headers={"origin": ORIGIN})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers

    def test_a_secret_key_may_bring_a_token_which_then_counts(self, world: World) -> None:
        token = {"x-paywall-user-token": world.issuer.token("alice")}
        told = world.call("GET", "/user/balance", headers=token).json()
        assert int(told["balance"]) == balance(world.site)
        assert world.chat({"user": "bob"}, **token).status_code == 403
        assert world.chat(**{"x-paywall-user-token": "forged"}).status_code == 401

    def test_another_issuer_counts_on_the_very_next_request(self, world: World) -> None:
        assert world.as_browser("POST", "/chat/completions", json=CHAT).status_code == 200
        tokens = {**world.settings["user_tokens"], "audience": "another"}
        world.configure(user_tokens=tokens)
        assert world.as_browser("POST", "/chat/completions", json=CHAT).status_code == 401
        world.configure(user_tokens=tokens | {"audience": AUDIENCE}, allowed_origins=[])
        assert world.as_browser("POST", "/chat/completions", json=CHAT).status_code == 403
        world.configure()
        assert world.as_browser("POST", "/chat/completions", json=CHAT).status_code == 200


class TestStanding:
    def test_a_block_counts_on_the_very_next_request_and_ends(self, world: World) -> None:
        assert world.chat({"user": "alice"}).status_code == 200
        one = "EndUser.objects.get(external_id='alice')"
        world.standing(f"standing.block_user({one}, 'test')")
        refused = world.chat({"user": "alice"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "user_blocked")
        assert world.chat({"user": "broke"}).status_code == 200
        world.standing(f"standing.unblock_user({one})")
        assert world.chat({"user": "alice"}).status_code == 200

    def test_an_archived_paywall_is_410_in_each_apis_shape_and_comes_back(self, world: World) -> None:
        world.standing("standing.archive_paywall(paywall, 'test')")
        for method, path in (
            ("POST", "/chat/completions"),
            ("GET", "/models"),
            ("GET", "/user/balance?user=alice"),
        ):
            gone = world.call(method, path, json={**CHAT, "user": "alice"} if method == "POST" else None)
            assert (gone.status_code, gone.json()["error"]["code"]) == (410, "paywall_archived")
        anthropic = world.call("POST", "/messages", json={**CHAT, "max_tokens": 5})
        assert (anthropic.status_code, anthropic.json()["type"]) == (410, "error")
        world.standing("standing.restore_paywall(paywall)")
        assert world.chat({"user": "alice"}).status_code == 200


class Recipe(BaseModel):
    title: str


class TestOwnWords:
    def words(self, world: World, **settings: Any) -> None:
        world.configure(
            templates={"insufficient_funds": "Geld! {{ url }} ({{ name }})"},
            response_api={"url": world.receiver.url, "secret": SECRET},
            **settings,
        )

    def said(self, answer: httpx.Response) -> str:
        return str(answer.json()["choices"][0]["message"]["content"])

    def test_a_template_counts_on_the_very_next_request(self, world: World) -> None:
        world.configure(templates={"insufficient_funds": "Geld! {{ url }} ({{ name }})"})
        said = self.said(world.chat({"user": "broke"}))
        assert said.startswith("Geld! http")
        assert said.endswith("(Acme Chat)")

    def test_the_endpoint_is_told_what_happened_and_its_words_are_relayed(self, world: World) -> None:
        self.words(world)

        def answer(received: Any) -> Any:
            told = json.loads(received.body)
            return (
                200,
                json.dumps({"message": f"Hey {told['user']}: {told['url']}"}).encode(),
                {"Content-Type": "application/json"},
            )

        world.receiver.answer = answer
        reply = world.chat({"user": "broke"})
        [received] = world.receiver.requests
        told = json.loads(received.body)
        assert self.said(reply) == f"Hey broke: {told['url']}"
        assert reply.headers["x-paywall-decision"] == told["case"] == "insufficient_funds"
        assert reply.json()["paywall"]["url"] == told["url"]
        assert told["requestId"] == reply.headers["x-request-id"]
        assert (told["model"], told["available"]) == ("sandbox/echo", "0")
        assert told["message"].startswith("Geld! ")
        Webhook(SECRET).verify(received.body, received.headers)

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_link_that_was_left_out_is_added(self, world: World, stream: bool) -> None:
        self.words(world)
        world.receiver.answer = (200, b"Please pay.", {"Content-Type": "text/plain"})
        reply = world.chat({"user": "broke", "stream": stream}).text
        assert "Please pay.\\n\\nhttp" in reply

    @pytest.mark.parametrize(
        "answer",
        [
            (500, b"oops"),
            (302, b"", {"Location": "http://127.0.0.1:1/"}),
            (200, b"x" * 20_000, {"Content-Type": "text/plain"}),
            (200, b'{"message": 5}', {"Content-Type": "application/json"}),
            (200, b"\xff\xfe", {"Content-Type": "text/plain"}),
            (200, b"", {"Content-Type": "text/plain"}),
        ],
    )
    def test_whatever_else_it_answers_the_template_stands(self, world: World, answer: Any) -> None:
        self.words(world)
        world.receiver.answer = (200, b"fine: ", {"Content-Type": "text/plain"})
        world.chat({"user": "broke"})
        world.receiver.answer = answer
        assert self.said(world.chat({"user": "broke"})).startswith("Geld! ")

    def test_an_endpoint_that_is_gone_is_left_alone_after_three_tries(self, world: World) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            mute.settimeout(0.2)
            world.configure(
                templates={"insufficient_funds": "Geld! {{ url }}"},
                response_api={"url": f"http://127.0.0.1:{mute.getsockname()[1]}/", "secret": SECRET},
            )
            # Together, so that the test waits once for what an answer may take.
            replies = in_threads(3, lambda _: world.chat({"user": "broke"}))
            assert all(self.said(reply).startswith("Geld! ") for reply in replies)
            while True:
                try:
                    mute.accept()[0].close()
                except TimeoutError:
                    break
            assert self.said(world.chat({"user": "broke"})).startswith("Geld! ")
            with pytest.raises(TimeoutError):
                mute.accept()

    def test_who_asks_for_errors_gets_them_and_the_endpoint_is_not_asked(self, world: World) -> None:
        self.words(world, replies="error")
        refused = world.chat({"user": "broke"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_funds")
        assert refused.headers["x-should-retry"] == "false"
        assert refused.json()["error"]["message"].startswith("Geld! ")
        assert world.receiver.requests == []
        assert world.chat({"user": "broke"}, **{"x-paywall-reply": "message"}).status_code == 200

    @pytest.mark.parametrize("stream", [False, True])
    def test_json_that_was_asked_for_is_a_refusal_that_the_sdk_can_read(
        self, world: World, stream: bool
    ) -> None:
        world.configure()
        chats, options = (
            world.site.client().chat.completions,
            {**CHAT, "user": "broke", "response_format": Recipe},
        )
        if stream:
            with chats.stream(**options) as events:
                message = events.until_done().get_final_completion().choices[0].message
        else:
            message = chats.parse(**options).choices[0].message
        assert message.parsed is None
        assert "http" in message.refusal
        assert message.content == message.refusal

    @pytest.mark.parametrize("stream", [False, True])
    def test_so_it_is_with_responses(self, world: World, stream: bool) -> None:
        client: openai.OpenAI = world.site.client()
        options = {"model": "fake/model", "input": "x", "text_format": Recipe, "user": "broke"}
        if stream:
            with client.responses.stream(**options) as events:
                answer = events.until_done().get_final_response()
        else:
            answer = client.responses.parse(**options)
        assert answer.output_parsed is None
        assert "http" in answer.output[0].content[0].refusal
