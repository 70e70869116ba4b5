"""Looks of all kinds by their name."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from agents.triggers.looks import feeds, folders, pages, tables
from agents.triggers.looks.base import JSON, BadTarget, Look, State, Surroundings

_KINDS: dict[str, ModuleType] = {
    "url": pages,
    "feed": feeds,
    "folder": folders,
    "sql": tables,
}


def read_target(kind: str, given: Mapping[str, JSON]) -> dict[str, JSON]:
    """Check what is to be looked at; raises BadTarget."""
    if kind not in _KINDS:
        raise BadTarget(f"Choose one of: {', '.join(_KINDS)}.", "kind")
    target: dict[str, JSON] = _KINDS[kind].read_target(given)
    return target


async def look(kind: str, target: Mapping[str, JSON], state: State | None, around: Surroundings) -> Look:
    """Look, and tell what has changed since `state`; raises ToolsError if that can't be done."""
    # What was checked long ago may have been changed by hand since.
    found: Look = await _KINDS[kind].look(read_target(kind, target), state, around)
    return found
