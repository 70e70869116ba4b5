"""Paths into events."""

from __future__ import annotations

import pytest

from agents.triggers.paths import MAX_FOUND, find, parse_path

EVENT = {"name": "a", "data": {"a.b": 1, "type": "t", "lines": [{"sku": "x"}, {"sku": "y"}]}}


def test_a_path_leads_to_one_value_or_to_many() -> None:
    assert find(EVENT, parse_path("name")) == ["a"]
    assert find(EVENT, parse_path("data.a\\.b")) == [1]
    assert find(EVENT, parse_path("data.lines.1.sku")) == ["y"]
    assert find(EVENT, parse_path("data.lines.*.sku")) == ["x", "y"]
    assert find(EVENT, parse_path("data.lines.2")) == []


def test_it_leads_into_data_alone() -> None:
    assert find(EVENT, parse_path("data.type.x")) == []
    assert find(EVENT, parse_path("data.__class__")) == []
    assert find({"data": "x"}, parse_path("data.__class__")) == []


def test_it_finds_a_bounded_number_of_values() -> None:
    many = {"data": [[0] * 1_000 for _ in range(1_000)]}
    assert len(find(many, parse_path("data.*.*"))) == MAX_FOUND


@pytest.mark.parametrize("text", ["", ".", "data..x", "user", "data.x\\", "data." + "x" * 500])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_path(text)
