"""A picture of a workflow's stages, where it has any: who does what, in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from agents.web.team_picture import MAX_BOXES, Box, Picture, draw
from agents.workflows.stages import PipelineOptions, Stage, faults_of
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


def _pipeline(name: str, members: Sequence[str], options: Mapping[str, Any]) -> Picture | None:
    """Each stage to the right of those it waits for, with what is special about it."""
    if faults_of(options, members):
        return None
    stages = PipelineOptions.model_validate(options).stages
    needs = {stage.name: stage.needs for stage in stages}
    place: dict[str, int] = {}
    for key in TopologicalSorter(needs).static_order():
        place[key] = 1 + max((place[need] for need in needs[key]), default=-1)
    columns: list[list[Box]] = [[] for _ in range(1 + max(place.values()))]
    for stage in stages:
        columns[place[stage.name]].append(Box(stage.name, stage.name, stage.agent, _marks(stage)))
    edges = [(need, stage.name) for stage in stages for need in stage.needs]
    words = "; ".join(
        f"{stage.name}: {_marks(stage)}" + (f", after {', '.join(stage.needs)}" if stage.needs else "")
        for stage in stages
    )
    return draw(columns, edges, words)


def _marks(stage: Stage) -> str:
    """Say who carries a stage out, whether for each item of a list, and whether on a condition."""
    marks = [stage.agent or "joins", "for each" if stage.map else "", "if" if stage.when else ""]
    return ", ".join(mark for mark in marks if mark)


_DRAWINGS: Mapping[str, Callable[[str, Sequence[str], Mapping[str, Any]], Picture | None]] = {
    "team": _team,
    "pipeline": _pipeline,
}
