"""Templates of JSON with places for values: `{{ stages.read.text }}`, and nothing else.

A text that is one place becomes the value that stands there, of whatever kind; within other words a value is written as
text, once, and never looked at again. So neither a template nor a value can do anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agents.definitions.template import as_text
from agents.engine import Permanent
from agents.engine.canonical import JSON
from agents.matching import MISSING, value_at

PATH = r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
_OPENS = "{{"
_PLACE = re.compile(r"\{\{[ \t]*(" + PATH + r")[ \t]*\}\}")


class MissingValue(Permanent):
    """Nothing stands at a place that a template names."""


def fill(template: JSON, values: Mapping[str, Any]) -> JSON:
    """Put values into a template; raises MissingValue for a place that is not there."""
    if isinstance(template, str):
        if whole := _PLACE.fullmatch(template.strip()):
            return _value(whole[1], values)
        return _PLACE.sub(lambda place: as_text(_value(place[1], values)), template)
    if isinstance(template, list):
        return [fill(part, values) for part in template]
    return {name: fill(part, values) for name, part in template.items()} if isinstance(template, dict) else template


def paths_in(template: JSON) -> Iterator[str]:
    """Give the path of each place in a template."""
    for text in _texts(template):
        yield from (place[1] for place in _PLACE.finditer(text))


def faults_in_places(template: JSON) -> Iterator[str]:
    """Say which openings in a template are of no place."""
    for text in _texts(template):
        left = _PLACE.sub("", text)
        if _OPENS in left:
            at = left.index(_OPENS)
            yield f"{left[at : at + 30]!r} opens a place and is none: write a path and }}}}, as {{{{ input.goal }}}}."


def _texts(template: JSON) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, (list, dict)):
        for part in template.values() if isinstance(template, dict) else template:
            yield from _texts(part)


def _value(path: str, values: Mapping[str, Any]) -> JSON:
    value = value_at(values, path)
    if value is not MISSING:
        return value
    parts = path.split(".")
    # Below null there is null: so is what comes from a stage that was skipped.
    if any(value_at(values, ".".join(parts[:end])) is None for end in range(1, len(parts))):
        return None
    raise MissingValue(f"There is no {path}.", "MissingValue")
