"""A picture of a workflow's stages, where it has any: who does what, in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from agents.web.team_picture import MAX_BOXES, Box, Picture, draw
from agents.workflows.team import TeamOptions


def stages_picture(definition: Mapping[str, Any]) -> Picture | None:
    """Draw the stages of an agent's workflow; None for one without stages, or with options that can't be read."""
    drawing = _DRAWINGS.get(definition["workflow"])
    members = definition["sub_agents"]
    if drawing is None or len(members) >= MAX_BOXES:
        return None
    return drawing(definition["name"], members, definition["options"])


def _team(name: str, members: Sequence[str], options: Mapping[str, Any]) -> Picture | None:
    """Plan, work at once, write, review: a role that no member has is the agent's own."""
    try:
        wanted = TeamOptions.model_validate(options)
    except ValidationError:
        return None
    roles = {"plans": wanted.planner, "writes": wanted.writer, "reviews": wanted.reviewer}
    played = {role: who if who in members else "" for role, who in roles.items()}
    chosen = wanted.workers if wanted.workers is not None else [who for who in members if who not in played.values()]
    workers = [who for who in dict.fromkeys(chosen) if who in members] or [name]

    def part(role: str) -> Box:
        return Box(role, played[role] or name, played[role] or name, role)

    columns = [[part("plans")]]
    if wanted.approve_plan:
        columns.append([Box("approves", "a person", note="approves")])
    columns += [[Box(f"works: {who}", who, who, "works") for who in workers], [part("writes")]]
    if wanted.reflect:
        columns.append([part("reviews")])
    edges = [(giver.key, getter.key) for givers, getters in pairwise(columns) for giver in givers for getter in getters]
    if wanted.reflect:
        edges.append(("reviews", "writes"))
    words = ", then ".join(" and ".join(f"{box.label} {box.note}" for box in column) for column in columns)
    return draw(columns, edges, words)


_DRAWINGS: Mapping[str, Callable[[str, Sequence[str], Mapping[str, Any]], Picture | None]] = {"team": _team}
