"""Where the gateway never connects on its event loop: the rules of test_webhook_addresses.py, for its own client."""

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from tests.receiver import Receiver
from tests.test_webhook_addresses import FORBIDDEN, PUBLIC
from webhooks import async_http
from webhooks.async_http import ForbiddenAddress, GuardedClient


@pytest.fixture(autouse=True)
def _nothing_allow_listed(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names resolve to: a list of answers, the last one for good."""
    answers: dict[str, list[list[str]]] = {}

    async def getaddrinfo(self: Any, host: str, port: int, **options: Any) -> Any:
        queue = answers[host]
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return [
            entry
            for address in found
            for entry in socket.getaddrinfo(
                address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return answers


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a connection was tried to; none is opened."""
    tried: list[str] = []

    async def start_connection(addr_infos: Any, **options: Any) -> Any:
        tried.extend(info[4][0] for info in addr_infos)
        raise ConnectionRefusedError("no connections in this test")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", start_connection)
    return tried


def post(*urls: str) -> list[int | Exception]:
    """The status of each, or why there is none; one client for all."""

    async def ask() -> list[int | Exception]:
        client, answers = GuardedClient(), []
        try:
            for url in urls:
                try:
                    answers.append((await client.post(url, b"{}", {}, seconds=5, limit=1_000))[0])
                except (aiohttp.ClientError, OSError, ValueError) as error:
                    answers.append(error)
        finally:
            await client.close()
        return answers

    return asyncio.run(ask())


def is_forbidden(answer: object) -> bool:
    return isinstance(answer, ForbiddenAddress) or (
        isinstance(answer, aiohttp.ClientConnectorError) and isinstance(answer.os_error, ForbiddenAddress)
    )


def test_no_forbidden_address_is_reached_as_a_url_or_behind_a_name(dns: Any, connected: list[str]) -> None:
    for number, address in enumerate(FORBIDDEN.values()):
        dns[f"evil{number}.example"] = [[address]]
    literal = [f"https://{f'[{one}]' if ':' in one else one}/" for one in FORBIDDEN.values()]
    answers = post(*literal, *(f"https://{name}/" for name in dns))
    assert [answer for answer in answers if not is_forbidden(answer)] == []
    assert connected == []


def test_public_addresses_are_tried(dns: Any, connected: list[str]) -> None:
    for number, address in enumerate(PUBLIC):
        dns[f"good{number}.example"] = [[address]]
    post(*(f"https://{name}/" for name in dns))
    assert connected == PUBLIC


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "0xa9fea9fe"])
def test_old_spellings_of_addresses_are_refused(host: str, connected: list[str]) -> None:
    [answer] = post(f"https://{host}/")
    assert isinstance(answer, ForbiddenAddress | aiohttp.ClientError | ValueError)
    assert is_forbidden(answer)
    assert connected == []


def test_what_is_checked_is_what_is_connected_to(dns: Any, connected: list[str]) -> None:
    """Rebinding: a second look-up would say another address, and nobody asks it."""
    dns["rebinding.example"] = [["93.184.216.34"], ["127.0.0.1"]]
    post("https://rebinding.example/")
    assert connected == ["93.184.216.34"]


def test_a_name_that_leads_inside_later_is_refused_later(
    dns: Any, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dns["turning.example"] = [["127.0.0.1"]]
    assert is_forbidden(post("https://turning.example/")[0])
    assert connected == []


@pytest.mark.parametrize("order", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"]])
def test_a_name_with_public_and_private_addresses_never_leads_inside(
    order: list[str], dns: Any, connected: list[str]
) -> None:
    dns["mixed.example"] = [order]
    post("https://mixed.example/")
    assert connected == ["93.184.216.34"]


def test_a_redirect_is_an_answer_and_no_proxy_is_asked(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as receiver, Receiver() as inside:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, inside.url.removesuffix("/hook"))
        receiver.answer = (307, b"", {"Location": inside.url})
        assert post(receiver.url) == [307]
        assert inside.requests == []


def test_plain_http_is_for_the_allow_listed_networks_only(
    settings: Any, dns: Any, connected: list[str]
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    dns["public.example"] = [["93.184.216.34"]]
    answers = post("http://93.184.216.34/", "http://public.example/")
    assert [is_forbidden(answer) for answer in answers] == [True, True]
    assert connected == []


def test_a_longer_answer_than_wanted_is_not_read(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as receiver:
        receiver.answer = (200, b"x" * 1_001, {})
        [answer] = post(receiver.url)
    assert isinstance(answer, ValueError)
    assert async_http.MAX_CONNECTIONS >= 1
