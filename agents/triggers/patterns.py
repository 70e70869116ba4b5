"""Which patterns of names an event's name fits: the engine's rules, for all who start something by events."""

from __future__ import annotations

from agents.engine.event_names import (
    ANY,
    MAX_NAME,
    OWN_NAMES,
    fault_of_foreign_name,
    fault_of_name,
    fault_of_pattern,
    fits,
    patterns_of,
)

__all__ = [
    "ANY",
    "MAX_NAME",
    "OWN_NAMES",
    "fault_of_foreign_name",
    "fault_of_name",
    "fault_of_pattern",
    "fits",
    "patterns_of",
]
