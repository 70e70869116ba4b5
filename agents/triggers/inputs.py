"""The input of a run made from the events that start it.

A template is JSON with places in its texts: `{{ data.order.id }}`. A text that is nothing but a place becomes what is
there, of whatever type; in a longer text the value is written into it. Values are put in once and never looked at
again: neither a template nor an event can do anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agents.definitions.template import as_text
from agents.engine.canonical import JSON, encode
from agents.triggers.paths import ROOTS, Path, find, parse_path

MAX_TEMPLATE = 50_000
MAX_DEPTH = 20
WHOLE = ("event", "events", "count")
"""Places besides the paths into the (last) event: all of it, the list of all, how many they are."""

_PLACE = re.compile(r"\{\{[ \t]*(.*?)[ \t]*\}\}")
_OPENS = "{{"


class BadTemplate(ValueError):
    """This is no template. The message says what is wrong, `path` where in the template."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


def check_template(template: Any) -> None:
    """Raise BadTemplate for what is none. None is the template that hands on the event as it is."""
    if len(encode(template)) > MAX_TEMPLATE:
        raise BadTemplate(f"A template has at most {MAX_TEMPLATE:,} characters.")
    for path, text in _texts(template, "", 0):
        places = list(_PLACE.finditer(text))
        for place in places:
            try:
                _parse(place[1])
            except ValueError as error:
                raise BadTemplate(f"{error} Besides paths there are: {', '.join(WHOLE)}.", path) from error
        if _OPENS in _PLACE.sub("", text):
            raise BadTemplate("{{ opens a place and wants a path and }}, as {{ data.order.id }}.", path)


def make_input(template: JSON, events: Sequence[Mapping[str, Any]]) -> JSON:
    """Give the input for a run that these events start, the last of them the newest."""
    last = events[-1]
    if template is None:
        goal = f"Handle the event {last['name']}." if len(events) == 1 else f"Handle {len(events)} events."
        return {"goal": goal, "event": last} if len(events) == 1 else {"goal": goal, "events": list(events)}
    values = {"event": last, "events": list(events), "count": len(events)}
    return _filled(template, last, values)


def _filled(template: JSON, event: Mapping[str, Any], values: Mapping[str, Any]) -> JSON:
    if isinstance(template, dict):
        return {key: _filled(value, event, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, event, values) for value in template]
    if not isinstance(template, str):
        return template
    if (alone := _PLACE.fullmatch(template)) and _OPENS not in alone[1]:
        return _value(alone[1], event, values)
    return _PLACE.sub(lambda place: as_text(_value(place[1], event, values)), template)


def _value(text: str, event: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """Give what stands at a place: null where nothing is, a list where the path leads to several values."""
    if text in values:
        return values[text]
    path = _parse(text)
    found = find(event, path)
    return found if "*" in path else (found[0] if found else None)


def _parse(text: str) -> Path:
    if text in WHOLE:
        return (text,)
    if not text:
        raise ValueError(f"A place is empty; one begins with: {', '.join(ROOTS)}.")
    return parse_path(text)


def _texts(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        raise BadTemplate(f"A template is nested at most {MAX_DEPTH} levels deep.", path)
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}".strip(".")[:200], depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{path}.{number}".strip("."), depth + 1)
