"""Which addresses are public, whatever form they come in."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tools.addresses import AddressPolicy, is_public

REFUSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "5f00::1",
]
PUBLIC = [
    "8.8.8.8",
    "172.32.0.1",
    "192.1.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.fault(37)
@pytest.mark.parametrize("text", REFUSED)
def test_addresses_that_are_not_public_are_refused(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not AddressPolicy().admits(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_admitted(text: str) -> None:
    assert AddressPolicy().admits(ip_address(text))


@pytest.mark.fault(37)
def test_an_operator_may_allow_a_network() -> None:
    policy = AddressPolicy.of(["10.0.0.0/8", " fd12::/16 "])
    assert policy.admits(ip_address("10.9.9.9"))
    assert policy.admits(ip_address("fd12::7"))
    assert policy.admits(ip_address("::ffff:10.9.9.9"))
    assert not policy.admits(ip_address("127.0.0.1"))
    assert not policy.admits(ip_address("fd13::7"))


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="ten"):
        AddressPolicy.of(["ten"])
