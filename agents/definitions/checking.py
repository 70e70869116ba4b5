"""Whether a definition can be published: all that it names must be there, and its circles must have an end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.definitions.definition import Caps, Definition
from agents.definitions.problems import Problem
from agents.definitions.template import names_for, template_problems
from agents.engine.schemas import schema_fault

CheckOptions = Callable[[str, Mapping[str, Any], Sequence[str]], Collection[Problem]]
"""Says what is wrong with the options of a workflow for an agent of these sub-agents; fields begin with `options`."""


def take_all(workflow: str, options: Mapping[str, Any], sub_agents: Sequence[str]) -> Collection[Problem]:
    """Stand for workflows that take any options."""
    return ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a definition may name: tools and workflows of the instance, and the workspace's published agents.

    `agents` gives for each of them those that it may give work to.
    """

    tools: Collection[str]
    workflows: Collection[str]
    agents: Mapping[str, Collection[str]]
    check_options: CheckOptions = take_all


def problems_of(definition: Definition, there: Surroundings) -> list[Problem]:
    """Say what keeps a definition from being published; nothing if it can be."""
    return [
        *_unknown("workflow", [definition.workflow], there.workflows, "workflow"),
        *_unknown("tools", definition.tools, there.tools, "tool"),
        *_unknown("approvals.tools", definition.approvals.tools or (), definition.tools, "tool of this agent"),
        *_unknown("sub_agents", definition.sub_agents, {*there.agents, definition.name}, "published agent"),
        *_circles(definition, there.agents),
        *_models(definition),
        *_keys(definition.caps),
        *_schemas(definition),
        *template_problems("instructions", definition.instructions, names_for(definition.input_schema)),
        *there.check_options(definition.workflow, definition.options, definition.sub_agents),
    ]


def _unknown(field: str, names: Collection[str], known: Collection[str], what: str) -> Iterator[Problem]:
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known)[:40]) or "none"
            yield Problem(field, f"There is no {what} named {name!r}. There are: {there}.")


def _circles(definition: Definition, agents: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """A circle of agents that give work to each other is ended by depth alone: who closes it must say how deep."""
    if definition.caps.depth is not None:
        return
    way = _way_back(definition, agents)
    if way:
        yield Problem(
            "sub_agents",
            f"{' → '.join(way)} is a circle. Say in caps.depth how many runs deep it may go, or leave one of them out.",
        )


def _way_back(definition: Definition, agents: Mapping[str, Collection[str]]) -> list[str]:
    """Give the shortest way by which the agent would give work to itself, empty if there is none."""
    ways = [[definition.name, name] for name in definition.sub_agents]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        if way[-1] == definition.name:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, name] for name in agents.get(way[-1], ())]
    return []


def _models(definition: Definition) -> Iterator[Problem]:
    if definition.fallbacks and not definition.model:
        yield Problem("fallbacks", "A model comes first: name it in model.")
    if definition.model and definition.model in definition.fallbacks:
        yield Problem("fallbacks", f"{definition.model} is the model itself.")


def _keys(caps: Caps) -> Iterator[Problem]:
    if caps.running_key and caps.max_running_per_key is None:
        yield Problem("caps.max_running_per_key", "Say how many runs with the same value may run at once.")
    if caps.max_running_per_key is not None and not caps.running_key:
        yield Problem("caps.running_key", "Name the field of the input whose values are told apart.")


def _schemas(definition: Definition) -> Iterator[Problem]:
    for field in ("input_schema", "output_schema"):
        schema = getattr(definition, field)
        if schema is None:
            continue
        fault = schema_fault(schema)
        if not fault and field == "input_schema" and schema.get("type") != "object":
            fault = 'A run\'s input is an object: say "type": "object", and its properties.'
        if fault:
            yield Problem(field, fault)
