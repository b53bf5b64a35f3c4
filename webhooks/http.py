"""The HTTP client of deliveries: allowed addresses only, pinned, no redirects, nothing from the environment.

`requests-hardened` resolves a name once, refuses what isn't public and connects to that very address. Ours goes on top:
a stricter list, the operator's own networks, and a deadline for the whole exchange.
"""

import socket
import ssl
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from webhooks import addresses, deadline

USER_AGENT = "Tollgate-Webhooks/1"

# Which address is not for the owner to know: names of the inside would become readable.
FORBIDDEN = "the host leads to an address that deliveries may not go to"


class ForbiddenAddress(requests.RequestException):
    """The host leads to an address that no delivery may go to."""


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        deadline.watch(connected)
        return connected


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        deadline.watch(connected)
        return connected


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


@cache
def tls() -> ssl.SSLContext:
    """One context for all deliveries: reading the authorities takes longer than most deliveries."""
    return ssl.create_default_context(cafile=certifi.where())


class GuardedAdapter(IPFilterAdapter):
    """Decides about the address that the connection will really use."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """The connection's host, replaced by an allowed address. Raises ForbiddenAddress."""
        pinned = self._pinned_to_allow_list(request, verify, cert) if addresses.has_allow_list() else None
        try:
            host, options = pinned or super().build_connection_pool_key_attributes(request, verify, cert)
        except InvalidIPAddress as refused:
            raise ForbiddenAddress(FORBIDDEN) from refused
        if not addresses.may_receive(ip_address(host["host"].strip("[]")), host["scheme"]):
            raise ForbiddenAddress(FORBIDDEN)
        if host["scheme"] == "https":
            options["ssl_context"] = tls()
        return host, options

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The pool's TLS context verifies already, against the same authorities."""

    def _pinned_to_allow_list(self, request: requests.PreparedRequest, verify: Any, cert: Any) -> Any:
        """As requests-hardened pins a public address, for one of the operator's own networks; else None."""
        host: Any
        options: Any
        host, options = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        name = host["host"].strip("[]")
        try:
            found = socket.getaddrinfo(name, host["port"], type=socket.SOCK_STREAM)
        except OSError:
            return None
        chosen = next(
            (ip for entry in found if addresses.is_allow_listed(ip := ip_address(entry[4][0]))), None
        )
        if chosen is None:
            return None
        request.headers["Host"] = str(urlsplit(str(request.url)).netloc)
        if host["scheme"] == "https":
            options["assert_hostname"] = options["server_hostname"] = name
        host["host"] = f"[{chosen}]" if chosen.version == 6 else str(chosen)
        return host, options


def session(user_agent: str = USER_AGENT) -> requests.Session:
    """A client for one exchange: no cookies, proxies or passwords of the machine's."""
    made = HTTPSession(
        Config(
            ip_filter_enable=True,
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(5, 15),
            user_agent_override=user_agent,
        )
    )
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.mount("http://", GuardedAdapter(is_https_proto=False))
    made.mount("https://", GuardedAdapter(is_https_proto=True))
    return made
