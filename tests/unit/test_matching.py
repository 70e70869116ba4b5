"""Conditions as data: what holds, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from agents.matching import MAX_DEPTH, MISSING, matches, problems, value_at, why_not

DATA = {"order": {"total": 120, "lines": [{"sku": "a-1"}, {"sku": "b-2"}]}, "status": "open", "paid": True, "a.b": 1}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("order.total", 120),
        ("order.lines.1.sku", "b-2"),
        (["a.b"], 1),
        (["order", "lines", 0, "sku"], "a-1"),
        ("order.lines.2", MISSING),
        ("order.lines.-1", MISSING),
        ("status.x", MISSING),
        ("a.b", MISSING),
    ],
)
def test_places(path: Any, value: Any) -> None:
    assert value_at(DATA, path) == value


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({}, True),
        ({"path": "status", "equals": "open"}, True),
        ({"path": "status", "equals": "late"}, False),
        ({"path": "paid", "equals": 1}, False),
        ({"path": "paid", "equals": True}, True),
        ({"path": "order.total", "equals": 120.0}, True),
        ({"path": "order.lines", "equals": [{"sku": "a-1"}, {"sku": "b-2"}]}, True),
        ({"path": "order.lines", "equals": [{"sku": "a-1"}]}, False),
        ({"path": "nothing", "equals": None}, False),
        ({"path": "status", "in": ["late", "open"]}, True),
        ({"path": "paid", "in": [1, "true"]}, False),
        ({"path": "nothing", "exists": False}, True),
        ({"path": "status", "exists": True}, True),
        ({"path": "status", "prefix": "op"}, True),
        ({"path": "order.total", "prefix": "1"}, False),
        ({"path": "order.total", "gte": 120, "lt": 121}, True),
        ({"path": "order.total", "gt": 120}, False),
        ({"path": "order.total", "lte": 119.5}, False),
        ({"path": "status", "gt": 1}, False),
        ({"path": "paid", "gte": 0}, False),
        ({"path": "status", "gte": "open", "lte": "openly"}, True),
        ({"path": "nothing", "lt": 5}, False),
        ({"and": [{"path": "status", "equals": "open"}, {"path": "order.total", "gt": 500}]}, False),
        ({"or": [{"path": "status", "equals": "late"}, {"path": "order.total", "gt": 100}]}, True),
        ({"not": {"path": "order.total", "gt": 500}}, True),
        ({"and": [{"not": {"or": [{"path": "x", "exists": True}]}}, {"path": "a", "exists": False}]}, True),
    ],
)
def test_what_holds(condition: dict[str, Any], holds: bool) -> None:
    assert problems(condition) == []
    assert matches(condition, DATA) is holds


def nested(depth: int) -> dict[str, Any]:
    return {"not": nested(depth - 1)} if depth > 1 else {"path": "a", "exists": True}


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ([], "A condition is an object"),
        ("status == 'open'", "A condition is an object"),
        ({"equals": 1}, 'names a "path"'),
        ({"path": "", "equals": 1}, 'names a "path"'),
        ({"path": "a..b", "equals": 1}, 'names a "path"'),
        ({"path": [True], "equals": 1}, 'names a "path"'),
        ({"path": "status"}, "Say what the value is compared by"),
        ({"path": "status", "matches": ".*"}, "There is no comparison 'matches'. There are: equals"),
        ({"path": "status", "in": []}, "'in' takes a list of 1 to 1000 values."),
        ({"path": "status", "exists": 1}, "'exists' takes true or false."),
        ({"path": "status", "prefix": 1}, "'prefix' takes a text."),
        ({"path": "status", "gt": True}, "'gt' takes a number or a text."),
        ({"and": []}, "'and' takes a list of conditions."),
        ({"and": [{}], "or": [{}]}, "'and' stands alone in its object."),
        ({"and": [{}, {"not": {"path": "a", "lt": None}}]}, "and.1.not: 'lt' takes a number or a text."),
        (nested(MAX_DEPTH + 1), f"Conditions are at most {MAX_DEPTH} deep."),
        ({"or": [{}] * 201}, "A condition has at most 200 parts."),
    ],
)
def test_what_is_refused(condition: Any, said: str) -> None:
    assert any(said in problem for problem in problems(condition)), problems(condition)


def test_the_depth_that_is_allowed() -> None:
    assert problems(nested(MAX_DEPTH)) == []


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"path": "order.total", "gt": 100}, ""),
        ({"path": "data.order.total", "gt": 100}, "the data has no data.order.total"),
        ({"path": "order.total", "gt": 100, "lt": 110}, "order.total is 120: lt 110 does not hold"),
        (
            {"and": [{"path": "paid", "equals": True}, {"path": "status", "in": ["late"]}]},
            'status is "open": in ["late"]',
        ),
        (
            {"or": [{"path": "x", "exists": True}, {"path": "paid", "equals": 1}]},
            "the data has no x; paid is true: equals",
        ),
        ({"not": {"path": "status", "prefix": "op"}}, "what must not hold does"),
        ({"path": ["a.b"], "gt": 1}, "a.b is 1: gt 1"),
    ],
)
def test_says_why_a_condition_does_not_hold(condition: Any, said: str) -> None:
    told = why_not(condition, DATA)
    assert told.startswith(said)
    assert bool(told) is bool(said)
