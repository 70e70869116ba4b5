"""Definitions as YAML, to be kept beside code and carried to another instance.

Reading builds texts, numbers, booleans, null, lists and objects from the parser's events, and nothing else: no tag is
obeyed, no object is made by a name, no alias is followed. What is too large or too deep is refused while it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from agents.definitions.definition import FIELDS, Definition, Malformed, Problem, read_definition

FORMAT = "agent/1"
_HEADER = "agentsite"
MAX_YAML = 200_000
MAX_DEPTH = 50
MAX_NODES = 20_000
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]{1,300}(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_OTHER_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


def write_yaml(definition: Mapping[str, Any]) -> str:
    """Write a definition, given in its JSON form; what is as it would be without a word is left out."""
    plain = Definition(name=definition["name"]).as_json()
    said = {name: definition[name] for name in FIELDS if name == "name" or definition.get(name) != plain[name]}
    return str(yaml.dump({_HEADER: FORMAT, **said}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def read_yaml(text: str) -> Definition:
    """Read a definition; raises Malformed, naming the place of what is wrong."""
    if len(text) > MAX_YAML:
        raise Malformed([Problem("", f"This has {len(text):,} characters; at most {MAX_YAML:,} are taken.")])
    try:
        data = _document(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        raise Malformed([Problem("", f"This is no YAML: {_said(error)}")]) from error
    if not isinstance(data, dict):
        raise Malformed([Problem("", "An agent is written as names and values: name: …, instructions: …")])
    written = data.pop(_HEADER, None)
    if written != FORMAT:
        raise Malformed([Problem(_HEADER, f"The first line says {_HEADER}: {FORMAT}, the form that is read here.")])
    return read_definition(data)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and refers to nothing twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _OTHER_LINE_ENDS.search(text):
        style: str | None = '"'
    elif "\n" in text:
        style = "|"
    else:
        style = None if isinstance(_plain(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)
# Only the parser is used: it makes events, no objects.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _document(events: Iterator[Any]) -> Any:
    """Build the value of the only document."""
    builder, documents = _Builder(), 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _at(event, "Another document begins here; one agent is one document.")
        elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            builder.take(event)
    return builder.value


class _Builder:
    """Puts values together from events; keeps the open lists and objects itself, so that no depth is too much."""

    def __init__(self) -> None:
        self.value: Any = None
        self._open: list[tuple[Any, Any]] = []
        """Lists and objects that are not complete, each with the key in it that waits for its value."""
        self._nodes = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            return
        self._check(event)
        if isinstance(event, yaml.ScalarEvent):
            self._put(event, _scalar(event))
            return
        made: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(event, made)
        self._open.append((made, _NO_KEY))
        if len(self._open) > MAX_DEPTH:
            raise _at(event, f"This is nested more than {MAX_DEPTH} levels deep.")

    def _check(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _at(event, f"This has more than {MAX_NODES:,} parts.")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _at(event, "Anchors and aliases are not taken: write it out.")
        if event.tag is not None and event.tag != "!":
            raise _at(event, f"The tag {event.tag[:60]!r} is not taken: there are only plain values here.")

    def _put(self, event: Any, value: Any) -> None:
        if not self._open:
            self.value = value
            return
        into, key = self._open[-1]
        if isinstance(into, list):
            into.append(value)
        elif key is not _NO_KEY:
            into[key] = value
            self._open[-1] = (into, _NO_KEY)
        else:
            self._open[-1] = (into, _key(event, into))


_NO_KEY = object()


def _key(event: Any, into: dict[str, Any]) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise _at(event, "The name of a value is a text.")
    name = str(event.value)
    if name in into:
        raise _at(event, f"{name[:100]!r} is there twice.")
    return name


def _scalar(event: Any) -> Any:
    """Give a plain word's value as JSON would have it. What is quoted is a text, and so is what JSON does not know."""
    return _plain(event.value) if event.style in (None, "") else event.value


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _at(event: Any, message: str) -> Malformed:
    return Malformed([Problem("", f"Line {event.start_mark.line + 1}: {message}")])


def _said(error: yaml.YAMLError) -> str:
    mark, what = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {what}." if mark else f"{str(what)[:200]}."
