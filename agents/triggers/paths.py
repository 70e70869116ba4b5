"""Paths into an event: `data.order.lines.*.sku`, `name`, `source`.

A part is a key of an object or a number in a list; `*` stands for all of either. A dot within a key is written `\\.`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ROOTS = ("data", "name", "source", "id", "event_id", "occurred_at", "received_at", "attributes")
"""What an event has. `id` is ours, `event_id` the source's; `attributes` are what a CloudEvent says besides."""
MAX_PATH = 500
MAX_FOUND = 10_000
EACH = "*"

_PART = re.compile(r"(?:[^.\\]|\\.)+")

Path = tuple[str, ...]


def parse_path(text: str) -> Path:
    """Read a path; raises ValueError, saying what is wrong."""
    if len(text) > MAX_PATH:
        raise ValueError(f"A path has at most {MAX_PATH} characters.")
    parts = _PART.findall(text)
    if not parts or ".".join(parts) != text:
        raise ValueError(f"{text[:100]!r} is no path; one looks like data.order.id.")
    path = tuple(re.sub(r"\\(.)", r"\1", part) for part in parts)
    if path[0] not in ROOTS:
        raise ValueError(f"A path begins with one of: {', '.join(ROOTS)}; {text[:100]!r} does not.")
    return path


def find(value: Any, path: Path) -> list[Any]:
    """Give all that a path leads to, at most MAX_FOUND values."""
    found = [value]
    for part in path:
        found = [inner for outer in found for inner in _inner(outer, part)][:MAX_FOUND]
    return found


def _inner(value: Any, part: str) -> list[Any]:
    if isinstance(value, Mapping):
        if part == EACH:
            return list(value.values())
        return [value[part]] if part in value else []
    if isinstance(value, list):
        if part == EACH:
            return value
        if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(value):
            return [value[int(part)]]
    return []
