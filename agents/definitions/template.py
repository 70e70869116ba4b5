"""Instructions with places for values of the input: `{{ name }}`, and nothing else.

No conditions, no filters, no attributes: a place is a name, and what stands in it is the value as text, put in once and
never looked at again. So neither the template nor a value can do anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from agents.definitions.problems import Problem
from agents.engine.canonical import encode

_PLACE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*\}\}")
OPENS, _EXAMPLE = "{{", "{{ goal }}"
GOAL = "goal"
"""The one value of an input that has no schema."""


def names_for(input_schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Give the names that instructions may use: the properties of the input, or the goal where it has no schema."""
    if input_schema is None:
        return (GOAL,)
    properties = input_schema.get("properties")
    return tuple(properties) if isinstance(properties, Mapping) else ()


def template_problems(field: str, template: str, names: Iterable[str]) -> list[Problem]:
    """Say what is wrong with a template, with its line."""
    known, problems = tuple(names), []
    for start in _openings(template):
        line = template.count("\n", 0, start) + 1
        place = _PLACE.match(template, start)
        if place is None:
            problems.append(
                Problem(field, f"Line {line}: {{{{ opens a place and wants a name and }}}}, as {{{{ x }}}}.")
            )
        elif place[1] not in known:
            there = f"There are: {', '.join(known)}." if known else "The input schema has no properties."
            problems.append(Problem(field, f"Line {line}: the input has no {place[1]!r}. {there}"))
    return problems


def render(template: str, input: Any, names: Iterable[str]) -> str:
    """Put the input's values into a template. What is no place for one of the names stays as it is."""
    values = input if isinstance(input, dict) else {GOAL: input}
    known = frozenset(names)
    return _PLACE.sub(lambda place: as_text(values.get(place[1])) if place[1] in known else place[0], template)


def _openings(template: str) -> Iterable[int]:
    at = template.find(OPENS)
    while at >= 0:
        yield at
        place = _PLACE.match(template, at)
        at = template.find(OPENS, place.end() if place else at + len(OPENS))


def as_text(value: Any) -> str:
    """Write a value: a text as it is, nothing for null, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(value)
