"""What differs between two definitions."""

from __future__ import annotations

from agents.definitions.comparing import Line, changes_between
from agents.definitions.definition import read_definition

OLD = read_definition(
    {
        "name": "a",
        "description": "Reads.",
        "instructions": "One.\nTwo.\nThree.",
        "tools": ["web_fetch", "calculate"],
        "caps": {"steps": 10, "usd": 1},
        "options": {"stages": [{"agent": "x"}]},
        "input_schema": {"type": "object"},
    }
).as_json()


def test_equal_definitions_do_not_differ() -> None:
    assert changes_between(OLD, dict(OLD)) == []


def test_each_field_differs_in_its_own_way() -> None:
    new = {
        **OLD,
        "description": "Writes.",
        "instructions": "One.\n2.\nThree.",
        "tools": ["calculate", "wait"],
        "caps": {"steps": 20, "tokens": 5},
        "options": {"stages": [{"agent": "y"}]},
        "input_schema": None,
    }
    changes = {change.field: change for change in changes_between(OLD, new)}
    assert list(changes) == [
        *("description", "instructions", "tools", "options.stages", "input_schema"),
        *("caps.steps", "caps.usd", "caps.tokens"),
    ]
    assert (changes["description"].before, changes["description"].after) == ("Reads.", "Writes.")
    assert changes["instructions"].lines == (
        Line("@", ""),
        Line(" ", "One."),
        Line("-", "Two."),
        Line("+", "2."),
        Line(" ", "Three."),
    )
    assert (changes["tools"].added, changes["tools"].removed) == (("wait",), ("web_fetch",))
    assert (changes["caps.usd"].before, changes["caps.usd"].after) == (1.0, None)
    assert {line.text.strip() for line in changes["options.stages"].lines if line.mark == "+"} == {'"agent": "y"'}
    assert all(line.mark in "-@" for line in changes["input_schema"].lines)


def test_an_agent_that_was_not_there_differs_in_all_it_has() -> None:
    fields = {change.field for change in changes_between({"name": "a"}, OLD)}
    assert {"description", "instructions", "tools", "caps.steps", "input_schema"} <= fields
