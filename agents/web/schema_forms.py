"""A JSON schema as fields of a form, and what was filled in as JSON.

An object's properties become a field each, anything else one field. What has no field of its own kind is written as
JSON. Whether the value fits is for the service to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "long", "number", "check", "choice", "json"]

PREFIX = "value-"
WHOLE = "value"
"""Name of the only field of a schema that is no object."""
LONG = 60
_KINDS: dict[str, Kind] = {"string": "text", "integer": "number", "number": "number", "boolean": "check"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `value` is its text, for a check "on" or nothing; `choices` are pairs of value and words."""

    name: str
    label: str
    kind: Kind
    value: str = ""
    hint: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False


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
        return _read(schema, filled.get(WHOLE, ""))
    value = dict(original or {})
    for name, rule in properties.items():
        text = filled.get(f"{PREFIX}{name}", "")
        if not text and _kind(rule, None) != "check" and not (name in value and rule.get("type") == "string"):
            # Left empty is left out.
            value.pop(name, None)
        elif text != "" or name in value or _kind(rule, None) == "check":
            value[name] = _read(rule, text)
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
        label=label.replace("_", " "),
        kind=kind,
        value=_written(kind, value),
        hint=str(rule.get("description", "")),
        choices=tuple(_choice(choice) for choice in rule.get("enum", ())) if kind == "choice" else (),
        is_required=is_required and kind not in ("check", "choice"),
    )


def _kind(rule: Mapping[str, Any], value: Any) -> Kind:
    if isinstance(rule.get("enum"), list):
        return "choice"
    kind = _KINDS.get(str(rule.get("type")), "json")
    if kind == "text" and isinstance(value, str) and (len(value) > LONG or "\n" in value):
        return "long"
    return kind


def _choice(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _written(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    if kind == "check":
        return "on" if value is True else ""
    if kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=1)
    return _choice(value)


def _read(rule: Mapping[str, Any], text: str) -> Any:
    kind = _kind(rule, None)
    if kind == "check":
        return text == "on"
    if kind == "text":
        # Browsers send line ends as for letters.
        return text.replace("\r\n", "\n")
    if kind == "choice":
        return next((choice for choice in rule["enum"] if _choice(choice) == text), text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # The service says what is wrong with it.
        return text
