"""JSON schemas that people write: which are taken, and whether a value fits one.

A schema is data of a workspace and is checked against values that others send, so checking must be bounded by the size
of both: references stay within the schema and never lead back to where they came from, patterns are matched by an
engine that needs linear time, and nothing is ever fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from pydantic import StringConstraints, TypeAdapter
from pydantic import ValidationError as NotMatching
from pydantic_core import SchemaError as BadPattern
from referencing import Registry

from agents.engine.canonical import encode

MAX_SCHEMA = 50_000
MAX_DEPTH = 40
MAX_WEIGHT = 5_000
"""How many parts a schema has at most, each counted as often as it is referred to."""
MAX_MISMATCH = 300
_REFUSED = {
    "$id": "names itself",
    "$anchor": "has anchors",
    "$dynamicRef": "refers dynamically",
    "$dynamicAnchor": "has dynamic anchors",
    "$recursiveRef": "refers recursively",
    "patternProperties": "has patterns for names",
}
_DATA = ("const", "default", "enum", "examples")
"""Keywords whose values are data, not schemas."""
_NAMED = ("properties", "$defs", "definitions", "dependentSchemas", "dependentRequired")
"""Keywords whose values have names of the writer's own choice as keys."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a value does not fit. `path` leads into the value, as `items.0.name`; empty for the whole."""

    path: str
    message: str


class _Refused(ValueError):
    """This schema is not taken."""


def checker(schema: Mapping[str, Any]) -> Any:
    """Give the library's validator of a schema, bounded, and with a registry of its own: nothing is fetched."""
    return _CHECKER(schema, registry=Registry())


def schema_fault(schema: Any) -> str:
    """Say why something is no schema that is taken; an empty text if it is one."""
    try:
        _check(schema)
    except _Refused as error:
        return str(error)
    return ""


def mismatch_of(schema: Mapping[str, Any], value: Any) -> Mismatch | None:
    """Give the first place where a value does not fit a schema, None if it fits."""
    try:
        error = next(iter(checker(schema).iter_errors(value)), None)
    except RecursionError:
        return Mismatch("", "This is nested too deeply.")
    if error is None:
        return None
    deepest = _deepest(error)
    return Mismatch(".".join(str(part) for part in deepest.absolute_path), _message(deepest))


def _check(schema: Any) -> None:
    if not isinstance(schema, dict):
        raise _Refused("A schema is an object.")
    if len(encode(schema)) > MAX_SCHEMA:
        raise _Refused(f"A schema has at most {MAX_SCHEMA:,} characters.")
    _check_depth(schema)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = ".".join(str(part) for part in error.absolute_path)
        raise _Refused(
            f"This is no JSON schema: {f'{path}: ' if path else ''}{error.message[:MAX_MISMATCH]}."
        ) from error
    _weigh(schema, schema, (), {})


def _check_depth(root: Any) -> None:
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _Refused(f"A schema is nested at most {MAX_DEPTH} levels deep.")
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]


def _weigh(root: Mapping[str, Any], node: Any, above: tuple[str, ...], known: dict[str, int]) -> int:
    """Count the parts that checking a value may come by; raises _Refused for what is not taken."""
    if not isinstance(node, dict):
        return 1
    for keyword, what in _REFUSED.items():
        if keyword in node:
            raise _Refused(f"A schema that {what} ({keyword}) is not taken.")
    if isinstance(pattern := node.get("pattern"), str):
        _check_pattern(pattern)
    weight = 1 + sum(_weigh(root, part, above, known) for part in _parts(node))
    if isinstance(reference := node.get("$ref"), str):
        if reference in above:
            raise _Refused(f"{reference} leads back to itself; a schema is finite here.")
        if reference not in known:
            known[reference] = _weigh(root, _at(root, reference), (*above, reference), known)
        weight += known[reference]
    if weight > MAX_WEIGHT:
        raise _Refused(f"This schema has more than {MAX_WEIGHT:,} parts, each counted where it is referred to.")
    return weight


def _parts(node: Mapping[str, Any]) -> Iterator[Any]:
    """Give the schemas within a schema."""
    for keyword, value in node.items():
        if keyword in _DATA:
            continue
        if isinstance(value, list):
            yield from value
        elif keyword in _NAMED and isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, dict):
            yield value


def _at(root: Mapping[str, Any], reference: str) -> Any:
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        raise _Refused(f"{reference[:100]!r} leads out of the schema: references begin with #/.")
    found: Any = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or key not in found:
            raise _Refused(f"{reference[:100]!r} leads nowhere.")
        found = found[key]
    return found


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])


def _check_pattern(pattern: str) -> None:
    try:
        _matcher(pattern)
    except BadPattern as error:
        raise _Refused(f"The pattern {pattern[:100]!r} is not taken: it must do without looking around.") from error


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, str):
        return
    try:
        _matcher(pattern).validate_python(value)
    except BadPattern:
        yield ValidationError(f"The pattern {pattern!r} can't be checked here")
    except NotMatching:
        yield ValidationError(f"This does not match {pattern!r}")


def _unique(validator: Any, wanted: bool, value: Any, schema: Any) -> Iterator[ValidationError]:
    # The library compares each with each when the items can't be sorted.
    if wanted and isinstance(value, list) and len({encode(item) for item in value}) < len(value):
        yield ValidationError("Something is there twice")


_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]
_KEYWORDS: dict[str, _Keyword] = {"pattern": _pattern, "uniqueItems": _unique}
_CHECKER = extend(Draft202012Validator, _KEYWORDS)


def _deepest(error: ValidationError) -> ValidationError:
    """Of a choice that nothing fits, give what the branch that came furthest lacks."""
    while error.context:
        error = max(error.context, key=lambda each: len(each.absolute_path))
    return error


def _message(error: ValidationError) -> str:
    text: str = error.message
    if len(text) > MAX_MISMATCH:
        # The library says the value first, which may be all there is.
        text = f"This does not fit {error.validator}: {encode(error.validator_value)}"
    return f"{text[:MAX_MISMATCH]}."
