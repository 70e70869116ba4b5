"""A JSON schema as fields of a form, and what was filled in as JSON.

An object's properties become a field each, anything else one field. A list of texts is written one on a line, a list of
plain objects as a row of fields for each, with room for more. What has no field of its own kind is written as JSON.
Whether the value fits is for the service to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["text", "long", "number", "check", "choice", "lines", "words", "rows", "json"]

PREFIX = "value-"
WHOLE = "value"
"""Name of the only field of a schema that is no object."""
LONG = 60
ROOM = 2
"""Rows that can be added to a list at a time."""
MOST_ROWS = 200
_KINDS: dict[str, Kind] = {"string": "text", "integer": "number", "number": "number", "boolean": "check"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `value` is its text, for a check "on" or nothing.

    Of a list of objects `rows` has the fields of each; one whose texts are all emptied is taken out of the list.
    """

    name: str
    label: str
    kind: Kind
    value: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    rows: tuple[tuple[Field, ...], ...] = ()


def fields_of(schema: Mapping[str, Any] | None, value: Any) -> list[Field]:
    """Give the fields for a value of this schema; none where nothing may be changed."""
    if schema is None:
        return []
    properties = _properties(schema)
    if not properties or not isinstance(value, dict | None):
        return [_field(WHOLE, "Answer" if value is None else "Value", schema, value, is_required=True)]
    required, given = schema.get("required", ()), value or {}
    return [
        _field(f"{PREFIX}{name}", name, rule, given.get(name, rule.get("default")), is_required=name in required)
        for name, rule in properties.items()
    ]


def read_fields(schema: Mapping[str, Any], original: Any, filled: Mapping[str, str]) -> Any:
    """Give the value that the fields say; what has no field stays as it was."""
    properties = _properties(schema)
    if not properties or not isinstance(original, dict | None):
        return _read(schema, filled.get(WHOLE, ""), _kind(schema, original))
    value = dict(original or {})
    for name, rule in properties.items():
        # As it was shown.
        before = value.get(name, rule.get("default"))
        kind, text = _kind(rule, before), filled.get(f"{PREFIX}{name}", "")
        if kind == "rows":
            rows = _read_rows(rule, f"{PREFIX}{name}-", before, filled)
            if rows or name in value:
                value[name] = rows
        elif not text and kind != "check" and not (name in value and rule.get("type") == "string"):
            # Left empty is left out.
            value.pop(name, None)
        elif text != "" or name in value or kind == "check":
            value[name] = _read(rule, text, kind)
    return value


def _properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(found, dict):
        return {}
    return {str(name): rule if isinstance(rule, dict) else {} for name, rule in found.items()}


def _field(name: str, label: str, rule: Mapping[str, Any], value: Any, *, is_required: bool) -> Field:
    kind = _kind(rule, value)
    return Field(
        name=name,
        label=str(rule.get("title") or label.replace("_", " ")),
        kind=kind,
        value=_written(kind, value) if kind != "rows" else "",
        hint=str(rule.get("description", "")),
        choices=tuple(_choice(choice) for choice in rule.get("enum", ())) if kind == "choice" else (),
        is_required=is_required and kind not in ("check", "choice", "rows"),
        rows=_rows(name, rule, value) if kind == "rows" else (),
    )


def _rows(name: str, rule: Mapping[str, Any], value: Any) -> tuple[tuple[Field, ...], ...]:
    """Give the fields of each object of a list, and of some more that may be added."""
    items = value if isinstance(value, list) else []
    most = rule.get("maxItems", MOST_ROWS)
    room = min(ROOM, max(0, most - len(items))) if isinstance(most, int) else ROOM
    return tuple(
        tuple(
            _in_row(_field(f"{name}-{number}-{part}", part, its_rule, item.get(part), is_required=False))
            for part, its_rule in _properties(rule["items"]).items()
        )
        for number, item in enumerate([*items, *[{}] * room])
    )


def _in_row(field: Field) -> Field:
    if field.kind != "lines":
        return field
    return replace(field, kind="words", value=field.value.replace("\n", ", "))


def _kind(rule: Mapping[str, Any], value: Any) -> Kind:
    if isinstance(rule.get("enum"), list):
        return "choice"
    if rule.get("type") == "array" and isinstance(rule.get("items"), dict):
        return _kind_of_list(rule["items"], value)
    kind = _KINDS.get(str(rule.get("type")), "json")
    if kind == "text" and isinstance(value, str) and (len(value) > LONG or "\n" in value):
        return "long"
    return kind


def _kind_of_list(items: Mapping[str, Any], value: Any) -> Kind:
    """Say how a list is shown: where something stands in it that the fields could not give back, as JSON."""
    listed = value if isinstance(value, list) else [] if value is None else [None]
    if items.get("type") == "string" and "enum" not in items:
        return "lines" if all(_is_line(item) for item in listed) else "json"
    parts = _properties(items)
    are_plain = bool(parts) and all(_kind(rule, None) not in ("rows", "json") for rule in parts.values())
    fit = len(listed) <= MOST_ROWS and all(_fits_row(item, parts) for item in listed)
    return "rows" if are_plain and fit else "json"


def _is_line(item: Any) -> bool:
    return isinstance(item, str) and item == item.strip() and len(item.splitlines()) == 1


def _fits_row(item: Any, parts: Mapping[str, Mapping[str, Any]]) -> bool:
    if not isinstance(item, dict):
        return False
    lists = [item[part] for part, rule in parts.items() if rule.get("type") == "array" and part in item]
    words = [word for listed in lists for word in (listed if isinstance(listed, list) else [None])]
    return all(isinstance(word, str) and _is_line(word) and "," not in word for word in words)


def _choice(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _written(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    if kind == "check":
        return "on" if value is True else ""
    if kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=1)
    if kind == "lines":
        return "\n".join(value)
    return _choice(value)


def _read(rule: Mapping[str, Any], text: str, kind: Kind) -> Any:
    if kind == "check":
        return text == "on"
    if kind in ("text", "long"):
        # Browsers send line ends as for letters.
        return text.replace("\r\n", "\n")
    if kind == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if kind == "choice":
        return next((choice for choice in rule["enum"] if _choice(choice) == text), text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # The service says what is wrong with it.
        return text


def _read_rows(rule: Mapping[str, Any], prefix: str, original: Any, filled: Mapping[str, str]) -> list[Any]:
    """Give the objects of a list by their rows; those whose texts are empty are none."""
    parts = _properties(rule["items"])
    numbers = {int(found[1]) for name in filled if (found := re.match(rf"{re.escape(prefix)}(\d{{1,4}})-", name))}
    before = original if isinstance(original, list) else []
    rows: list[Any] = []
    for number in sorted(numbers)[: MOST_ROWS + ROOM]:
        texts = {part: filled.get(f"{prefix}{number}-{part}", "").strip() for part in parts}
        if any(text for part, text in texts.items() if _kind(parts[part], None) not in ("choice", "check")):
            row = dict(before[number]) if number < len(before) else {}
            rows.append(_filled_row(row, parts, texts))
    return rows


def _filled_row(row: dict[str, Any], parts: Mapping[str, Mapping[str, Any]], texts: Mapping[str, str]) -> Any:
    for part, text in texts.items():
        kind = _kind(parts[part], None)
        if kind == "lines":
            # In a row they stand on one line.
            row[part] = [word.strip() for word in text.split(",") if word.strip()]
        elif text or kind == "check" or parts[part].get("type") == "string":
            row[part] = _read(parts[part], text, kind)
        else:
            row.pop(part, None)
    return row
