"""Where a delivery may never go: whatever a name, a number, a redirect or the environment says."""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.receiver import Receiver
from webhooks import addresses, http, rules
from webhooks.deadline import Deadline
from webhooks.errors import InvalidSubscription

FORBIDDEN = {
    "this host": "0.0.0.0",
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.255.254",
    "private 10": "10.1.2.3",
    "private 172.16": "172.31.0.1",
    "private 192.168": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "Alibaba's metadata": "100.100.100.200",
    "link-local": "169.254.1.1",
    "metadata": "169.254.169.254",
    "IETF protocols": "192.0.0.170",
    "documentation": "203.0.113.7",
    "benchmarks": "198.19.255.255",
    "6to4 relay": "192.88.99.1",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "IPv6 unspecified": "::",
    "IPv6 loopback": "::1",
    "IPv4-mapped loopback": "::ffff:127.0.0.1",
    "IPv4-mapped metadata": "::ffff:a9fe:a9fe",
    "IPv4-compatible": "::7f00:1",
    "NAT64 of metadata": "64:ff9b::a9fe:a9fe",
    "NAT64 of loopback": "64:ff9b::7f00:1",
    "local NAT64": "64:ff9b:1::1",
    "6to4 of metadata": "2002:a9fe:a9fe::1",
    "6to4 of loopback": "2002:7f00:1::1",
    "Teredo": "2001:0:53aa:64c:0:0:80ff:fffe",
    "ORCHID": "2001:20::1",
    "documentation v6": "2001:db8::1",
    "documentation v6, the newer": "3fff::1",
    "unique local": "fd00:ec2::254",
    "link-local v6": "fe80::1",
    "site-local": "fec0::1",
    "multicast v6": "ff02::1",
    "segment routing": "5f00::1",
    "discard": "100::1",
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"]


@pytest.fixture(autouse=True)
def _nothing_allow_listed(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = []


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[list[str]]]]:
    """What names resolve to: a list of answers, the last one for good; and every connection, which is cut."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in answers:
            return real(host, port, *args, **options)
        queue = answers[host]
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return [entry for address in found for entry in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answers


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that a connection was opened to; none is."""
    hosts: list[str] = []

    def create_connection(address: tuple[str, int], *args: Any, **options: Any) -> Any:
        hosts.append(address[0])
        raise ConnectionRefusedError("no connections in this test")

    monkeypatch.setattr("urllib3.util.connection.create_connection", create_connection)
    return hosts


def post(url: str) -> requests.Response:
    with http.session() as session:
        return session.post(url, data=b"{}", timeout=5)


def assert_forbidden(url: str, connected: list[str]) -> None:
    with pytest.raises(http.ForbiddenAddress):
        post(url)
    assert connected == []


@pytest.mark.parametrize("address", FORBIDDEN.values(), ids=FORBIDDEN.keys())
class TestAForbiddenAddress:
    def test_is_refused_by_the_rule(self, address: str) -> None:
        assert not addresses.is_public(ipaddress.ip_address(address))

    def test_is_refused_as_a_url(self, address: str, connected: list[str]) -> None:
        host = f"[{address}]" if ":" in address else address
        with pytest.raises(InvalidSubscription):
            rules.url(f"https://{host}/hook")
        assert_forbidden(f"https://{host}/hook", connected)

    def test_is_refused_behind_a_name(self, address: str, dns: Any, connected: list[str]) -> None:
        dns["evil.example"] = [[address]]
        assert_forbidden("https://evil.example/hook", connected)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not(address: str, dns: Any, connected: list[str]) -> None:
    assert addresses.is_public(ipaddress.ip_address(address))
    dns["good.example"] = [[address]]
    with pytest.raises(requests.ConnectionError):
        post("https://good.example/hook")
    assert connected == [address]


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "0xa9fea9fe"])
def test_old_spellings_of_addresses_are_read_as_the_system_reads_them(
    host: str, connected: list[str]
) -> None:
    with pytest.raises(InvalidSubscription):
        rules.url(f"https://{host}/hook")
    assert_forbidden(f"https://{host}/hook", connected)


def test_what_is_checked_is_what_is_connected_to(dns: Any, connected: list[str]) -> None:
    """Rebinding: the second look-up says another address, and nobody asks it."""
    dns["rebinding.example"] = [["93.184.216.34"], ["127.0.0.1"]]
    with pytest.raises(requests.ConnectionError):
        post("https://rebinding.example/hook")
    assert connected == ["93.184.216.34"]


def test_the_other_way_round_too(dns: Any, connected: list[str]) -> None:
    dns["rebinding.example"] = [["127.0.0.1"], ["93.184.216.34"], ["127.0.0.1"]]
    assert_forbidden("https://rebinding.example/hook", connected)


@pytest.mark.parametrize("order", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"]])
def test_a_name_with_public_and_private_addresses_never_leads_inside(
    order: list[str], dns: Any, connected: list[str]
) -> None:
    dns["mixed.example"] = [order]
    with pytest.raises(requests.RequestException):
        post("https://mixed.example/hook")
    assert "127.0.0.1" not in connected


def test_a_redirect_is_an_answer_and_not_a_way(settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as receiver, Receiver() as inside:
        receiver.answer = (302, b"", {"Location": inside.url})
        assert post(receiver.url).status_code == 302
        receiver.answer = (307, b"", {"Location": inside.url})
        assert post(receiver.url).status_code == 307
        assert inside.requests == []


def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as receiver, Receiver() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/hook"))
        monkeypatch.delenv("no_proxy", raising=False)
        assert post(receiver.url).status_code == 200
        assert (len(receiver.requests), proxy.requests) == (1, [])


class TestTheAllowList:
    def test_opens_its_networks_and_no_others(self, settings: Any, dns: Any) -> None:
        settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        dns["inside.example"] = [["127.0.0.1"]]
        dns["elsewhere.example"] = [["10.0.0.1"]]
        with Receiver() as receiver:
            url = receiver.url.replace("127.0.0.1", "inside.example")
            assert rules.url(url) == url
            assert post(url).status_code == 200
            assert receiver.requests[0].headers["host"] == url.split("/")[2]
        with pytest.raises(http.ForbiddenAddress):
            post("http://elsewhere.example/hook")

    def test_plain_http_is_for_its_networks_only(self, settings: Any, dns: Any, connected: list[str]) -> None:
        settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        dns["public.example"] = [["93.184.216.34"]]
        with pytest.raises(InvalidSubscription):
            rules.url("http://93.184.216.34/hook")
        assert_forbidden("http://public.example/hook", connected)

    def test_without_one_plain_http_is_refused(self) -> None:
        with pytest.raises(InvalidSubscription, match="https"):
            rules.url("http://example.com/hook")


def dribbling(*, headers_first: bool) -> tuple[socket.socket, str]:
    """A server that sends a byte each 50 ms for ever, of its headers or of its body."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(65_536)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        try:
            if headers_first:
                connection.sendall(head)
            for _ in range(400):
                connection.sendall(b"H")
                time.sleep(0.05)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("headers_first", [True, False])
def test_a_dribbling_endpoint_is_cut_at_the_deadline(headers_first: bool, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    listener, url = dribbling(headers_first=headers_first)
    started = time.monotonic()
    with listener, Deadline(0.5) as deadline, pytest.raises(requests.RequestException):
        post(url)
    assert deadline.passed
    assert 0.4 < time.monotonic() - started < 3
