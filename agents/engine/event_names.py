"""Names of events, and patterns of names: a whole name, a beginning up to a dot with a `*`, or `*` alone."""

from __future__ import annotations

import re

MAX_NAME = 200
MAX_PARTS = 20
ANY = "*"

_NAME = re.compile(r"[^\s*\x00-\x1f\x7f]+")


def fault_of_name(name: str) -> str:
    """Say what is wrong with an event's name; empty for a good one."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        return f"An event's name has 1 to {MAX_NAME} characters, no spaces and no *; like order.paid."
    if name.count(".") >= MAX_PARTS:
        return f"An event's name has at most {MAX_PARTS} parts between dots."
    return ""


def fault_of_pattern(pattern: str) -> str:
    """Say what is wrong with a pattern of names; empty for a good one."""
    if pattern == ANY:
        return ""
    name = pattern.removesuffix(".*")
    if len(pattern) > MAX_NAME or fault_of_name(name):
        return f"A pattern is an event's name, a beginning as in order.*, or * alone; {MAX_NAME} characters at most."
    return ""
