"""Conditions as data, for the filters of events and the stages of pipelines: compared with JSON, never executed.

    {"path": "order.total", "gte": 100, "lt": 500}
    {"and": [{"path": "status", "in": ["open", "late"]}, {"not": {"path": "owner", "exists": True}}]}

A path names a place in the data: names and numbers of list items, joined by dots, or as a list where a name has a dot
in it. Several comparisons of one place hold together. A place that is not there equals nothing, and lies in no range;
values of different kinds are never equal, and true is not 1. {} holds always.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MAX_DEPTH = 8
MAX_PARTS = 200
MAX_CHOICES = 1_000
MAX_PATH = 20
MAX_TOLD = 3
"""Alternatives of which it is told why none of them holds."""
MAX_SHOWN = 40
"""Characters of a value that such words show."""
JOINED = ("and", "or")
Path = str | Sequence[str | int]


class _Missing:
    """What stands at a place that is not there."""


MISSING = _Missing()


def value_at(data: Any, path: Path) -> Any:
    """Give what stands at a place in JSON data, MISSING if nothing does."""
    for part in path.split(".") if isinstance(path, str) else path:
        if isinstance(data, Mapping):
            data = data.get(str(part), MISSING)
        elif isinstance(data, list) and str(part).isdecimal() and len(str(part)) < 10:
            data = data[int(part)] if int(part) < len(data) else MISSING
        else:
            return MISSING
    return data


def matches(condition: Mapping[str, Any], data: Any) -> bool:
    """Say whether a condition, one without problems, holds for JSON data."""
    if "and" in condition:
        return all(matches(part, data) for part in condition["and"])
    if "or" in condition:
        return any(matches(part, data) for part in condition["or"])
    if "not" in condition:
        return not matches(condition["not"], data)
    if not condition:
        return True
    value = value_at(data, condition["path"])
    return all(_COMPARISONS[name][1](value, wanted) for name, wanted in condition.items() if name != "path")


def why_not(condition: Mapping[str, Any], data: Any) -> str:
    """Say in a few words why a condition, one without problems, does not hold for JSON data; empty if it does."""
    if matches(condition, data):
        return ""
    if "and" in condition:
        return next(said for part in condition["and"] if (said := why_not(part, data)))
    if "or" in condition:
        return "; ".join(why_not(part, data) for part in condition["or"][:MAX_TOLD])
    if "not" in condition:
        return "what must not hold does"
    path, value = condition["path"], value_at(data, condition["path"])
    place = path if isinstance(path, str) else ".".join(map(str, path))
    if value is MISSING:
        return f"the data has no {place}"
    name, wanted = next(
        (name, wanted)
        for name, wanted in condition.items()
        if name != "path" and not _COMPARISONS[name][1](value, wanted)
    )
    return f"{place} is {_short(value)}: {name} {_short(wanted)} does not hold"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def problems(condition: Any) -> list[str]:
    """Say what is wrong with a condition, and where; nothing if it can be used."""
    found = list(_problems(condition, "", 1))
    if not found and sum(1 for _ in _parts(condition)) > MAX_PARTS:
        return [f"A condition has at most {MAX_PARTS} parts."]
    return found


def _problems(condition: Any, place: str, depth: int) -> Iterator[str]:
    at = f"{place}: " if place else ""
    if not isinstance(condition, Mapping):
        yield f'{at}A condition is an object, as {{"path": "status", "equals": "open"}}.'
    elif depth > MAX_DEPTH:
        yield f"{at}Conditions are at most {MAX_DEPTH} deep."
    elif joined := [name for name in (*JOINED, "not") if name in condition]:
        if len(condition) > 1:
            yield f"{at}{joined[0]!r} stands alone in its object."
        parts = condition[joined[0]]
        if joined[0] == "not":
            yield from _problems(parts, _below(place, "not"), depth + 1)
        elif not isinstance(parts, list) or not parts:
            yield f"{at}{joined[0]!r} takes a list of conditions."
        else:
            for number, part in enumerate(parts):
                yield from _problems(part, _below(place, f"{joined[0]}.{number}"), depth + 1)
    elif condition:
        yield from (f"{at}{said}" for said in _leaf_problems(condition))


def _leaf_problems(leaf: Mapping[str, Any]) -> Iterator[str]:
    if not _is_path(leaf.get("path")):
        yield 'A comparison names a "path", as "order.total".'
    compared = [name for name in leaf if name != "path"]
    if not compared:
        yield f"Say what the value is compared by: {', '.join(_COMPARISONS)}."
    for name in compared:
        if name not in _COMPARISONS:
            yield f"There is no comparison {name!r}. There are: {', '.join(_COMPARISONS)}, and: and, or, not."
        elif said := _COMPARISONS[name][0](leaf[name]):
            yield f"{name!r} {said}."


def _is_path(path: Any) -> bool:
    parts = path.split(".") if isinstance(path, str) else path
    if not isinstance(parts, list) or not 0 < len(parts) <= MAX_PATH:
        return False
    return all(isinstance(part, (str, int)) and not isinstance(part, bool) and part != "" for part in parts)


def _parts(condition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield condition
    for name in JOINED:
        for part in condition.get(name, ()):
            yield from _parts(part)
    if "not" in condition:
        yield from _parts(condition["not"])


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def _is_equal(value: Any, wanted: Any) -> bool:
    if _kind(value) != _kind(wanted):
        return False
    if isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_is_equal, value, wanted))
    if isinstance(wanted, Mapping):
        return value.keys() == wanted.keys() and all(_is_equal(value[name], part) for name, part in wanted.items())
    return bool(value == wanted)


def _in_range(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, bound: _kind(value) == _kind(bound) and compare(value, bound)


def _takes(what: str, is_right: Callable[[Any], bool]) -> Callable[[Any], str]:
    return lambda wanted: "" if is_right(wanted) else f"takes {what}"


def _is_bound(wanted: Any) -> bool:
    return _kind(wanted) in ("number", "str")


_BOUND = _takes("a number or a text", _is_bound)
_COMPARISONS: Mapping[str, tuple[Callable[[Any], str], Callable[[Any, Any], bool]]] = {
    "equals": (_takes("any value", lambda wanted: True), _is_equal),
    "in": (
        _takes(
            f"a list of 1 to {MAX_CHOICES} values",
            lambda wanted: isinstance(wanted, list) and 0 < len(wanted) <= MAX_CHOICES,
        ),
        lambda value, wanted: any(_is_equal(value, one) for one in wanted),
    ),
    "exists": (
        _takes("true or false", lambda wanted: isinstance(wanted, bool)),
        lambda value, wanted: (value is not MISSING) is wanted,
    ),
    "prefix": (
        _takes("a text", lambda wanted: isinstance(wanted, str)),
        lambda value, wanted: isinstance(value, str) and value.startswith(wanted),
    ),
    "gt": (_BOUND, _in_range(lambda value, bound: value > bound)),
    "gte": (_BOUND, _in_range(lambda value, bound: value >= bound)),
    "lt": (_BOUND, _in_range(lambda value, bound: value < bound)),
    "lte": (_BOUND, _in_range(lambda value, bound: value <= bound)),
}
"""By its name, what a comparison takes (what is wrong with it, else nothing), and whether it holds."""
