"""What differs between two definitions, field by field; of texts, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, Literal

from agents.definitions.definition import FIELDS

Mark = Literal["+", "-", " ", "@"]
_TEXTS = ("instructions",)
_SCHEMAS = ("input_schema", "output_schema")
_LISTS = ("fallbacks", "tools", "sub_agents")
CONTEXT = 3
"""How many lines are shown around what changed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text's difference: added, taken away, or the same on both sides; `@` begins another place."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs. `lines` are there for texts and schemas; `added` and `removed` for lists."""

    field: str
    before: Any
    after: Any
    lines: tuple[Line, ...] = ()
    added: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Give what differs between two definitions in their JSON form; a field that is missing is empty."""
    return [change for name in FIELDS for change in _changes(name, before.get(name), after.get(name))]


def _changes(field: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    if field in _TEXTS:
        yield Change(field, before, after, lines=_lines(before or "", after or ""))
    elif field in _SCHEMAS:
        yield Change(field, before, after, lines=_lines(_written(before), _written(after)))
    elif field in _LISTS:
        was, will = tuple(before or ()), tuple(after or ())
        added, removed = tuple(x for x in will if x not in was), tuple(x for x in was if x not in will)
        yield Change(field, before, after, added=added, removed=removed)
    elif isinstance(before or {}, Mapping) and isinstance(after or {}, Mapping):
        yield from _parts(field, before or {}, after or {})
    else:
        yield Change(field, before, after)


def _parts(field: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        was, will = before.get(name), after.get(name)
        if was == will and (name in before) == (name in after):
            continue
        is_large = isinstance(was, dict | list) or isinstance(will, dict | list)
        yield Change(f"{field}.{name}", was, will, lines=_lines(_written(was), _written(will)) if is_large else ())


def _written(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


def _lines(before: str, after: str) -> tuple[Line, ...]:
    found = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=CONTEXT))[2:]
    return tuple(Line("@", "") if line.startswith("@@") else Line(_mark(line), line[1:]) for line in found)


def _mark(line: str) -> Mark:
    return "+" if line[0] == "+" else "-" if line[0] == "-" else " "
