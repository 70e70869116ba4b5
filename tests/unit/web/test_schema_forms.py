"""Values of a schema as fields of a form and back: what is shown and sent unchanged gives the same value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from agents.web.schema_forms import Field, fields_of, read_fields
from agents.web.tables import table_of

PLAN = {
    "type": "object",
    "properties": {
        "tasks": {
            "type": "array",
            "title": "Tasks",
            "maxItems": 4,
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "agent": {"type": "string", "enum": ["north", "south"]},
                    "goal": {"type": "string"},
                    "needs": {"type": "array", "items": {"type": "string"}},
                    "hours": {"type": "number"},
                    "is_urgent": {"type": "boolean"},
                },
            },
        },
        "questions": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string"},
    },
}
TASKS = [
    {"id": "a", "agent": "north", "goal": "Go on,\nand on", "needs": [], "hours": 1.5, "is_urgent": True},
    {
        "id": "b",
        "agent": "south",
        "goal": "Go",
        "needs": ["a", "c"],
        "hours": 2,
        "is_urgent": False,
        "extra": [{"x": 1}],
    },
]


def _sent(fields: Iterable[Field]) -> dict[str, str]:
    """Give what a browser sends of these fields, as they stand."""
    found: dict[str, str] = {}
    for field in fields:
        if field.kind == "rows":
            for row in field.rows:
                found |= _sent(row)
        elif field.kind != "check" or field.value:
            found[field.name] = field.value.replace("\n", "\r\n")
    return found


@pytest.mark.parametrize(
    "value",
    [
        {"tasks": TASKS, "questions": ["Why, and how?", "When?"], "note": "x"},
        {"tasks": [], "questions": []},
        {"tasks": [{"id": "a", "needs": ["one, two"]}], "questions": ["two\nlines"], "note": ""},
        {"tasks": "all", "questions": [" spaces "]},
        {"tasks": [{"id": "a"}, 5], "questions": [5]},
        {},
    ],
)
def test_what_is_sent_as_it_is_shown_is_unchanged(value: dict[str, Any]) -> None:
    sent = _sent(fields_of(PLAN, value))
    read = read_fields(PLAN, value, sent)
    assert {name: part for name, part in read.items() if part != []} == {
        name: part for name, part in value.items() if part != []
    }


def test_rows_are_changed_emptied_and_added() -> None:
    value = {"tasks": TASKS}
    (tasks, *_) = fields_of(PLAN, value)
    assert (tasks.kind, len(tasks.rows)) == ("rows", 4)
    assert [part.kind for part in tasks.rows[0]] == ["text", "choice", "long", "words", "number", "check"]
    sent = _sent([tasks])
    sent |= {f"value-tasks-0-{name}": "" for name in ("id", "goal", "hours")}
    sent |= {"value-tasks-1-needs": "", "value-tasks-1-hours": ""}
    sent |= {"value-tasks-3-id": "d", "value-tasks-3-agent": "north", "value-tasks-3-goal": "Stop"}
    assert read_fields(PLAN, value, sent)["tasks"] == [
        {"id": "b", "agent": "south", "goal": "Go", "needs": [], "is_urgent": False, "extra": [{"x": 1}]},
        {"id": "d", "agent": "north", "goal": "Stop", "needs": [], "is_urgent": False},
    ]


def test_lines_become_a_list() -> None:
    fields = fields_of(PLAN, None)
    assert [field.kind for field in fields] == ["rows", "lines", "text"]
    sent = {"value-questions": "Why?\r\n\r\n  When, and where? \r\n"}
    assert read_fields(PLAN, None, sent) == {"questions": ["Why?", "When, and where?"]}


def test_a_list_of_plain_objects_is_a_table_and_nothing_else_is() -> None:
    rows = [{"id": "a", "needs": ["x", "y"], "is_done": True}, {"id": "b", "needs": [], "is_done": False}]
    table = table_of(rows)
    assert table is not None
    assert table.columns == ("id", "needs", "is_done")
    assert [[cell for _, cell in row] for row in table.rows] == [["a", "x, y", "true"], ["b", "–", "false"]]
    for other in (
        [],
        "text",
        [1, 2],
        [{"id": "a"}],
        [{"id": "a", "more": {"x": 1}}],
        [{"id": "a", "more": None}],
        [{"id": "a", "more": 1}, {"id": "b"}],
        [{"id": "a", "more": ["one, two"]}],
        rows * 200,
    ):
        assert table_of(other) is None
