"""Which patterns of names an event's name fits.

They are few enough to be looked up by an index: how many others there are costs nothing.
"""

from __future__ import annotations

from agents.engine.event_names import ANY, MAX_NAME, fault_of_name, fault_of_pattern

__all__ = ["ANY", "MAX_NAME", "fault_of_name", "fault_of_pattern", "fits", "patterns_of"]


def patterns_of(name: str) -> list[str]:
    """Give all patterns that an event of this name fits."""
    parts = name.split(".")
    return [name, *(f"{'.'.join(parts[:count])}.*" for count in range(len(parts) - 1, 0, -1)), ANY]


def fits(name: str, pattern: str) -> bool:
    """Tell whether a name fits a pattern."""
    return pattern == ANY or name == pattern or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
