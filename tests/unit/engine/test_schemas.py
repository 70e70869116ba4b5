"""JSON schemas that people write: checking is bounded, fetches nothing and says where a value does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from agents.engine.schemas import MAX_DEPTH, mismatch_of, schema_fault

DEFS: dict[str, Any] = {"$defs": {"person": {"type": "object", "properties": {"age": {"type": "integer"}}}}}
TASK: dict[str, Any] = {
    "type": "object",
    "required": ["title"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string", "minLength": 1, "pattern": "^[a-z ]+$"},
        "people": {"type": "array", "items": {"$ref": "#/$defs/person"}, "uniqueItems": True},
    },
    **DEFS,
}


def deep(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def doubling(levels: int) -> Any:
    """Each level refers twice to the next: few words, but 2^levels parts."""
    named = {f"l{i}": {"allOf": [{"$ref": f"#/$defs/l{i + 1}"}] * 2} for i in range(levels)}
    return {"$defs": {**named, f"l{levels}": {}}, "$ref": "#/$defs/l0"}


def test_a_sound_schema_is_taken() -> None:
    assert schema_fault(TASK) == ""
    # Names that people choose are no keywords.
    assert schema_fault({"type": "object", "properties": {"$id": {}, "pattern": {}, "patternProperties": {}}}) == ""


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "is an object"),
        (True, "is an object"),
        ({"type": "objekt"}, "no JSON schema"),
        ({"properties": {"a": {"minLength": -1}}}, "properties.a.minLength: -1"),
        ({"$ref": "https://example.org/x"}, "leads out of the schema"),
        ({"$ref": "file:///etc/passwd"}, "leads out of the schema"),
        ({"$ref": "other.json#/a"}, "leads out of the schema"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "#"}, "leads back to itself"),
        ({"properties": {"child": {"$ref": "#"}}}, "leads back to itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "back to itself"),
        ({"$id": "https://example.org/x"}, "names itself"),
        ({"items": {"$dynamicRef": "#x"}}, "refers dynamically"),
        ({"patternProperties": {"^(a+)+$": {}}}, "patterns for names"),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, "without looking around"),
        ({"properties": {"a": {"enum": ["x" * 50_001]}}}, "50,000"),
        (deep(MAX_DEPTH + 1), "levels deep"),
        (doubling(20), "5,000 parts"),
    ],
)
def test_what_could_fetch_or_take_for_ever_is_refused(schema: Any, words: str) -> None:
    assert words in schema_fault(schema)


@pytest.mark.parametrize(
    ("value", "path", "words"),
    [
        ({}, "", "'title' is a required"),
        ({"title": 3}, "title", "not of type 'string'"),
        ({"title": "X"}, "title", "does not match"),
        ({"title": "a", "people": [{"age": 1}, {"age": "old"}]}, "people.1.age", "not of type 'integer'"),
        ({"title": "a", "people": [{"age": 1}, {"age": 1}]}, "people", "twice"),
        ({"title": "a", "colour": 1}, "", "'colour' was unexpected"),
        ("title", "", "not of type 'object'"),
    ],
)
def test_a_value_that_does_not_fit_is_told_where(value: Any, path: str, words: str) -> None:
    found = mismatch_of(TASK, value)
    assert found is not None
    assert found.path == path
    assert words in found.message


def test_a_value_that_fits_and_a_choice_that_does_not() -> None:
    assert mismatch_of(TASK, {"title": "a b", "people": [{"age": 1}, {}]}) is None
    choice = {"anyOf": [{"type": "integer"}, {"properties": {"people": TASK["properties"]["people"]}}], **DEFS}
    found = mismatch_of(choice, {"title": "a", "people": [{"age": "old"}]})
    assert found is not None
    assert found.path == "people.0.age"


@pytest.mark.fault(47)
def test_no_pattern_and_no_list_takes_more_than_its_length() -> None:
    """With the library's own checks each of the two would take until the end of days."""
    pattern = {"type": "string", "pattern": "^(a+)+$"}
    assert schema_fault(pattern) == ""
    assert mismatch_of(pattern, "a" * 200_000 + "b") is not None
    mixed: list[Any] = [[index] if index % 2 else {"a": index} for index in range(20_000)]
    assert mismatch_of({"uniqueItems": True}, mixed) is None
