"""IP addresses: those of a host, and which are of the open internet."""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

# A host's name as every program reads it; one whose last label begins with a digit may be a number, as 0x7f.1 is.
NAME = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*")
# NAT64 (RFC 6052, RFC 8215): the last 32 bits are the IPv4 address that is connected to.
NAT64 = [ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/96")]
# Not of the open internet either, though `is_global` of some Python says so: all IPv6 but the one block that is given
# out (2000::/3), protocol assignments (Teredo among them), documentation, relays of 6to4, multicast.
NOT_PUBLIC = [
    ipaddress.ip_network(net)
    for net in (
        "::/3", "4000::/2", "8000::/1", "2001::/23", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4",
    )
]  # fmt: skip


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet, the same in every version of Python."""
    peer = _embedded(ipaddress.ip_address(address.split("%", maxsplit=1)[0]))
    return peer.is_global and not any(peer in network for network in NOT_PUBLIC)


def _embedded(peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(peer, ipaddress.IPv4Address):
        return peer
    if any(peer in network for network in NAT64):
        return ipaddress.IPv4Address(int(peer) & 0xFFFFFFFF)
    return peer.ipv4_mapped or peer.sixtofour or peer


def host_addresses(url: str) -> list[str]:
    """Return all IP addresses of a URL's host; none if it can't be looked up, or is read in different ways."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    if "@" in parts.netloc:
        return []
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    with suppress(OSError):
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None)] if NAME.fullmatch(host) else []
    return []
