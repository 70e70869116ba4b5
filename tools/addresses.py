"""Which addresses requests to the outside may reach.

Written out here rather than left to `ipaddress.is_global`: what that calls global differs between patch releases of
Python, and it looks through hardly any of the forms in which an IPv6 address carries an IPv4 one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata service lives here
            "127.0.0.0/8",
            "168.63.129.16/32",  # a cloud's metadata service on an address that looks public
            "169.254.0.0/16",  # link-local; the usual metadata service
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")  # the only block from which public addresses are given out
_REFUSED_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
        ),
    )
)
_CARRIERS_LOW = tuple(
    map(
        IPv6Network,
        (
            "::ffff:0:0/96",  # IPv4-mapped
            "::ffff:0:0:0/96",  # IPv4-translated
            "::/96",  # IPv4-compatible
            "64:ff9b::/96",  # NAT64
        ),
    )
)
_6TO4 = IPv6Network("2002::/16")


def embedded(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _6TO4:
        return IPv4Address(address.packed[2:6])
    # `::` and `::1` belong to IPv6 itself; read as IPv4 they are 0.0.0.0 and 0.0.0.1, which are refused as well.
    if any(address in network for network in _CARRIERS_LOW):
        return IPv4Address(address.packed[-4:])
    return address


def is_public(address: Address) -> bool:
    """Tell whether the address belongs to the public internet."""
    address = embedded(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _REFUSED_V6)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses, and the networks an operator allows although they are not public."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[str]) -> AddressPolicy:
        """Read networks as written in settings; raises ValueError naming the one that is none."""
        return cls(tuple(ip_network(network.strip(), strict=False) for network in networks if network.strip()))

    def admits(self, address: Address) -> bool:
        """Tell whether requests may go to this address."""
        if is_public(address):
            return True
        forms = {_without_zone(address), embedded(address)}
        return any(form in network for form in forms for network in self.allowed if form.version == network.version)


def read_address(text: str) -> Address | None:
    """Read an address in its plain spelling; None for everything that has to be resolved first."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _without_zone(address: Address) -> Address:
    return ip_address(address.packed)
