"""What a docstring says about a function and its parameters."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_SECTION = re.compile(
    r"^(args|arguments|parameters|params|returns?|yields?|raises|examples?|notes?|see also):\s*$", re.IGNORECASE
)
_PARAMETER_SECTIONS = {"args", "arguments", "parameters", "params"}
_PARAMETER = re.compile(r"^\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)$")


@dataclass(slots=True)
class Described:
    """A docstring taken apart: the prose, and what the `Args:` section says of each parameter."""

    text: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def describe(function: object) -> Described:
    """Read a plain or Google-style docstring. Sections other than `Args:` are meant for people and left out."""
    found = Described()
    prose: list[str] = []
    section: list[str] = []
    heading = ""
    for line in (inspect.getdoc(function) or "").splitlines():
        match = _SECTION.match(line)
        if match:
            heading = match[1].lower()
        elif not heading:
            prose.append(line)
        elif heading in _PARAMETER_SECTIONS:
            if line.strip() and not line.startswith((" ", "\t")):
                # Unindented text ends the section.
                heading = ""
                prose.append(line)
            else:
                section.append(line)
    found.text = "\n".join(prose).strip()
    found.parameters = _parameters(inspect.cleandoc("\n".join(["", *section])))
    return found


def _parameters(section: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in section.splitlines():
        match = None if line.startswith((" ", "\t")) else _PARAMETER.match(line)
        if match:
            current = found.setdefault(match["name"], [])
            current.append(match["text"].strip())
        elif line.strip():
            current.append(line.strip())
    return {name: " ".join(part for part in lines if part) for name, lines in found.items()}
