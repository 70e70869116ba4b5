"""Names of events and patterns of names."""

from __future__ import annotations

import pytest

from agents.triggers.patterns import fault_of_name, fault_of_pattern, fits, patterns_of


@pytest.mark.parametrize("pattern", ["*", "a", "a.b", "a.*", "a.b.*", "https://x.y/z"])
def test_good_patterns(pattern: str) -> None:
    assert fault_of_pattern(pattern) == ""


@pytest.mark.parametrize("pattern", ["", "a*", "*.a", "a.*.b", "a b", ".*.*", "x" * 201, "a\n"])
def test_what_is_no_pattern(pattern: str) -> None:
    assert fault_of_pattern(pattern)


@pytest.mark.parametrize(
    ("name", "fitting", "others"),
    [
        ("order.paid.twice", ["order.paid.twice", "order.paid.*", "order.*", "*"], ["order", "order.paid", "ord.*"]),
        ("order", ["order", "*"], ["order.*", "orde", "order.paid"]),
        ("orders.new", ["orders.*"], ["order.*"]),
    ],
)
def test_a_name_is_looked_up_by_every_pattern_that_fits_it(name: str, fitting: list[str], others: list[str]) -> None:
    assert all(fits(name, pattern) and pattern in patterns_of(name) for pattern in fitting)
    assert not any(fits(name, pattern) or pattern in patterns_of(name) for pattern in others)


def test_a_name_has_a_bounded_number_of_parts() -> None:
    assert fault_of_name(".".join("a" * 20)) == ""
    assert fault_of_name(".".join("a" * 21))
