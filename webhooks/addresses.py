"""Which addresses a delivery may go to. Pure.

Python's `is_global` and `is_private` are both wrong for several ranges that lead inside (6to4, NAT64, carrier-grade
NAT), so the list is our own, after the IANA special-purpose registries.
"""

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_V4 = [
    IPv4Network(cidr)
    for cidr in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; clouds keep services there
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
# What is routed at all; NAT64, IPv4-mapped, unique local and link-local addresses are outside.
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = [
    IPv6Network(cidr)
    for cidr in (
        "2001::/23",  # Teredo (carries an IPv4 address), ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",
    )
]


def is_public(address: Address) -> bool:
    """Whether the address is a host on the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def has_allow_list() -> bool:
    """Whether the operator allows any network of their own."""
    return bool(settings.WEBHOOK_ALLOWED_NETWORKS)


def is_allow_listed(address: Address) -> bool:
    """Whether the operator allows the address in WEBHOOK_ALLOWED_NETWORKS, be it public or not."""
    return any(address in network for network in _networks(tuple(settings.WEBHOOK_ALLOWED_NETWORKS)))


def may_receive(address: Address, scheme: str) -> bool:
    """Whether a delivery may go there: without TLS only to what the operator allows."""
    return is_allow_listed(address) or (scheme == "https" and is_public(address))


def literal(host: str) -> Address | None:
    """The address that a URL's host spells, also the old ways (`2130706433`, `0177.0.0.1`); None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def parse_networks(cidrs: Iterable[str]) -> list[Network]:
    """The networks of a setting. Raises ValueError, which names the bad one."""
    return [ip_network(cidr) for cidr in cidrs]


@lru_cache(maxsize=8)
def _networks(cidrs: tuple[str, ...]) -> list[Network]:
    return parse_networks(cidrs)
