"""Names of events, and patterns of names: a whole name, a beginning up to a dot with a `*`, or `*` alone."""

from __future__ import annotations

import re

MAX_NAME = 200
MAX_PARTS = 20
ANY = "*"
OWN_NAMES = ("run.", "approval.", "webhook.")
"""How names of our own events begin: nobody else makes those."""

_NAME = re.compile(r"[^\s*\x00-\x1f\x7f]+")


def fault_of_name(name: str) -> str:
    """Say what is wrong with an event's name; empty for a good one."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        return f"An event's name has 1 to {MAX_NAME} characters, no spaces and no *; like order.paid."
    if name.count(".") >= MAX_PARTS:
        return f"An event's name has at most {MAX_PARTS} parts between dots."
    return ""


def fault_of_foreign_name(name: str) -> str:
    """Say what is wrong with the name of an event that is not our own; empty for a good one."""
    if name.startswith(OWN_NAMES):
        return f"Names that begin with {', '.join(OWN_NAMES)} are of agentsite's own events; choose another one."
    return fault_of_name(name)


def patterns_of(name: str) -> list[str]:
    """Give all patterns that an event of this name fits.

    They are few enough to be looked up by an index: how many others there are costs nothing.
    """
    parts = name.split(".")
    return [name, *(f"{'.'.join(parts[:count])}.*" for count in range(len(parts) - 1, 0, -1)), ANY]


def fits(name: str, pattern: str) -> bool:
    """Tell whether a name fits a pattern."""
    return pattern == ANY or name == pattern or (pattern.endswith(".*") and name.startswith(pattern[:-1]))


def fault_of_pattern(pattern: str) -> str:
    """Say what is wrong with a pattern of names; empty for a good one."""
    if pattern == ANY:
        return ""
    name = pattern.removesuffix(".*")
    if len(pattern) > MAX_NAME or fault_of_name(name):
        return f"A pattern is an event's name, a beginning as in order.*, or * alone; {MAX_NAME} characters at most."
    return ""
