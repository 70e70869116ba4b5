"""What a tree of runs may take: said by the workspace, by the agent, and by who starts it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from agents.engine.caps import TOLD, Caps, lowest
from agents.models import AgentVersion, Workspace
from agents.services.errors import InvalidInput

MOST = 10**12


def caps_of(workspace: Workspace, version: AgentVersion | None, budget: Mapping[str, Any] | None) -> Caps:
    """Give the caps of a tree: the lowest of what is said. Who starts a run may lower them, never raise them.

    Raises InvalidInput for a budget that makes no sense.
    """
    check_caps(budget or {}, "budget")
    agents = version.caps if version is not None else None
    return lowest(Caps.of(told) for told in (workspace.caps, agents, budget))


def deadline_of(caps: Caps, begins_at: datetime) -> datetime | None:
    """Give when a run that is due at a time has to be over."""
    return None if caps.seconds is None else begins_at + timedelta(seconds=caps.seconds)


def check_caps(told: Mapping[str, Any], field: str) -> None:
    """Raise InvalidInput unless these are caps by their names, each a number from zero."""
    for name, value in told.items():
        if name not in TOLD:
            raise InvalidInput(f"There is no cap named {str(name)[:50]!r}. Caps: {', '.join(TOLD)}.", field)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
        if not is_number or not 0 <= value <= MOST:
            raise InvalidInput(f"The cap {name} is a number from 0.", field)
        if name not in ("seconds", "usd") and value != int(value):
            raise InvalidInput(f"The cap {name} is a whole number.", field)
