"""The plan of a team: tasks for agents, with what each needs, made by a planner and checked before anything is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agents.engine import Context, Permanent, workflow
from agents.engine.canonical import JSON, encode
from agents.engine.messages import Message, user
from agents.workflows.prompts import goal_of, instructions

ID = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
REPAIRS = 2
"""How often a plan that can't be carried out is handed back to the planner."""

PLANNER = (
    "You plan the work of a team. Split the goal into tasks that agents of the team do at the same time, each without "
    "seeing the others: say in a task's goal everything that has to be known for it. A task that builds on what others "
    "find out names them in `needs`, and is told their results. Do not plan the writing of the answer: that follows by "
    "itself. Fewer tasks are better than many."
)


class Task(BaseModel):
    """A piece of work for one agent, begun when the tasks that it `needs` are done."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=ID)
    agent: str
    goal: str = Field(min_length=1)
    needs: list[str] = []


class TeamPlan(BaseModel):
    """The tasks of a team."""

    model_config = ConfigDict(extra="forbid")

    tasks: list[Task]


class BadPlan(Permanent):
    """The plan can't be carried out, and the planner did not mend it although it was told what is wrong."""


def plan_form(agents: Iterable[str], most: int, *, least: int = 1) -> dict[str, Any]:
    """Give the JSON schema of a plan for these agents of `least` to `most` tasks."""
    task = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": ID, "title": "Name"},
            "agent": {"type": "string", "enum": list(agents), "title": "Agent"},
            "goal": {"type": "string", "minLength": 1, "title": "Goal"},
            "needs": {"type": "array", "items": {"type": "string"}, "title": "Needs"},
        },
        "required": ["id", "agent", "goal", "needs"],
        "additionalProperties": False,
    }
    tasks = {"type": "array", "items": task, "minItems": least, "maxItems": most, "title": "Tasks"}
    properties = {"tasks": tasks}
    return {
        "title": "Plan",
        "type": "object",
        "properties": properties,
        "required": ["tasks"],
        "additionalProperties": False,
    }


def faults_of(plan: TeamPlan, agents: Iterable[str], most: int, *, known: Iterable[str] = ()) -> list[str]:
    """Say what keeps a plan from being carried out; `known` are the ids of tasks of an earlier plan."""
    allowed, earlier, ids = list(agents), set(known), [task.id for task in plan.tasks]
    faults = [f"There are {len(ids)} tasks; at most {most} are allowed."] if len(ids) > most else []
    faults += [f"More than one task is named {id!r}." for id, times in Counter(ids).items() if times > 1]
    faults += [f"The name {id!r} is taken by an earlier task." for id in ids if id in earlier]
    for task in plan.tasks:
        if task.agent not in allowed:
            faults.append(f"Task {task.id!r}: there is no agent {task.agent!r}. Agents: {', '.join(allowed)}.")
        faults += [
            f"Task {task.id!r} needs {need!r}, which is no task." for need in task.needs if need not in {*ids, *earlier}
        ]
    try:
        TopologicalSorter({task.id: task.needs for task in plan.tasks}).prepare()
    except CycleError as error:
        faults.append(f"Tasks need each other in a circle: {' → '.join(reversed(error.args[1]))}.")
    return faults


@workflow("team.plan")
async def plan(ctx: Context, input: JSON) -> JSON:
    """Make the plan of a team; see `order` for the input."""
    agents: Mapping[str, str] = input["agents"]
    most, earlier, failed = int(input["most"]), input.get("earlier") or [], input.get("failed") or []
    chat: list[Message] = [
        instructions(ctx, "\n\n".join([PLANNER, _agents(agents), f"At most {most} tasks."])),
        user(goal_of(input)),
    ]
    if earlier:
        chat += [Message("assistant", encode({"tasks": earlier})), user(_again(failed))]
    form = plan_form(agents, most, least=0 if earlier else 1)
    faults: list[str] = []
    for _ in range(1 + REPAIRS):
        reply = await ctx.think(chat, tools=(), output=form)
        made = TeamPlan.model_validate(reply.output)
        faults = faults_of(made, agents, most, known=[task["id"] for task in earlier])
        if not faults:
            return made.model_dump()
        chat += [reply, user("The plan can't be carried out. Give it again, mended.\n- " + "\n- ".join(faults))]
    raise BadPlan("The plan can't be carried out: " + " ".join(faults))


def order(
    goal: str,
    agents: Mapping[str, str],
    most: int,
    *,
    earlier: Sequence[JSON] = (),
    failed: Sequence[JSON] = (),
) -> JSON:
    """Make the input of a planner's run: `agents` by name with their description, at `most` so many tasks.

    For a new plan after failures, `earlier` are the tasks that are done, under way or failed, `failed` why these did.
    """
    return {"goal": goal, "agents": dict(agents), "most": most, "earlier": list(earlier), "failed": list(failed)}


def _agents(agents: Mapping[str, str]) -> str:
    return "\n".join(["The agents of the team:", *(f"- {name}: {text}".rstrip(": ") for name, text in agents.items())])


def _again(failed: Sequence[JSON]) -> str:
    lines = [f"- {one['id']}: {one['why']}" for one in failed]
    return "\n".join(
        [
            "These tasks of the plan have failed:",
            *lines,
            "Give new tasks, under new names, for what is still to be done; none if nothing better can be tried. They "
            "may need tasks of the plan above that have not failed. Tasks that needed a failed one are dropped.",
        ]
    )
