"""The workflow "team": a planner splits the goal, agents work on its tasks at once, a writer and a reviewer finish it.

What is done when a task fails, how many run at once, whether a person sees the plan first: `TeamOptions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.engine import Context, Permanent, workflow
from agents.engine.canonical import JSON
from agents.workflows import planning, reviewing, writing
from agents.workflows.dialogue import REPAIRS
from agents.workflows.options import Fault, checks_options, faults_in, read_options, unknown_agents
from agents.workflows.planning import TeamPlan, faults_of, plan_form
from agents.workflows.prompts import goal_of
from agents.workflows.tasks import Board, Worker

OnFailure = Literal["retry", "replan", "leave_out", "stop"]
MAX_REPLANS = 2


class TeamOptions(BaseModel):
    """The options of a team.

    `planner`, `reviewer` and `writer` name sub-agents; one that is not there is played by the team's own agent. The
    `workers` are the sub-agents that do the tasks, by default all others. A task that fails is tried again `retries`
    times; what then is left is, by `on_failure`, left out ("retry", "leave_out" without trying again), planned anew
    ("replan") or the end of the run ("stop"). The reviewer sends a draft back at most `reflect` times;
    an answer that does not fit the agent's output schema is handed back to the writer at most `repairs` times.
    """

    model_config = ConfigDict(extra="forbid")

    planner: str = "planner"
    reviewer: str = "reviewer"
    writer: str = "writer"
    workers: list[str] | None = None
    approve_plan: bool = False
    max_tasks: int = Field(12, ge=1, le=200)
    width: int = Field(8, ge=1, le=200)
    on_failure: OnFailure = "retry"
    retries: int = Field(1, ge=0, le=5)
    reflect: int = Field(1, ge=0, le=5)
    repairs: int = Field(REPAIRS, ge=0, le=10)


class PlanRefused(Permanent):
    """A person refused the plan, or nobody approved it in time."""


class NothingFound(Permanent):
    """No task of the plan has been done, so there is nothing to write about."""


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is on the team: the sub-agent of each role, if there is one, and the workers by name."""

    roles: Mapping[str, str]
    workers: Mapping[str, Worker]

    @classmethod
    async def of(cls, ctx: Context, options: TeamOptions) -> Roster:
        """Find out who is on the team of this run's agent."""
        present = {agent.name: agent for agent in await ctx.sub_agents()}
        wanted = {"plan": options.planner, "review": options.reviewer, "write": options.writer}
        roles = {role: name for role, name in wanted.items() if name in present}
        chosen = options.workers if options.workers is not None else [n for n in present if n not in roles.values()]
        workers = {name: Worker(name, present[name].description) for name in chosen if name in present}
        return cls(roles, workers or cls._alone(ctx))

    @staticmethod
    def _alone(ctx: Context) -> dict[str, Worker]:
        """Who has nobody does the tasks by themselves."""
        name = ctx.agent.name if ctx.agent else "react"
        return {name: Worker(name, "Searches, reads and calculates.", "react" if ctx.agent else "")}

    async def ask(self, ctx: Context, role: str, input: JSON) -> JSON:
        """Have a role played by its sub-agent, as a run of its own, or by this run's agent."""
        name = self.roles.get(role)
        if name is None:
            return await _ROLES[role](ctx, input)
        return await ctx.call(name, input, workflow=f"team.{role}")


_ROLES = {"plan": planning.plan, "review": reviewing.review, "write": writing.write}


@workflow("team")
async def team(ctx: Context, input: JSON) -> JSON:
    """Plan, work in parallel, write, review; the answer cites the steps that found what it says."""
    goal, options = goal_of(input), read_options(TeamOptions, ctx)
    roster = await Roster.of(ctx, options)
    plan = await _plan(ctx, goal, roster, options)
    board = Board(ctx, goal, roster.workers, width=options.width, retries=_retries(options))
    board.put(plan)
    await ctx.emit("plan", plan.model_dump())
    replans = MAX_REPLANS if options.on_failure == "replan" else 0
    while (failed := await board.work(stops=options.on_failure == "stop")) and replans:
        replans -= 1
        await _plan_anew(ctx, goal, roster, options, board, failed)
    results = board.results()
    if not any("error" not in result for result in results):
        raise NothingFound(f"No task of the plan has been done. {board.why()}")
    return await _answer(ctx, goal, roster, options, results)


async def _plan(ctx: Context, goal: str, roster: Roster, options: TeamOptions) -> TeamPlan:
    agents = {worker.name: worker.description for worker in roster.workers.values()}
    made = await roster.ask(ctx, "plan", planning.order(goal, agents, options.max_tasks))
    plan = TeamPlan.model_validate(made)
    return await _approved(ctx, plan, agents, options) if options.approve_plan else plan


async def _approved(ctx: Context, plan: TeamPlan, agents: Mapping[str, str], options: TeamOptions) -> TeamPlan:
    """Have a person approve the plan, who may edit it; one that can't be carried out comes back to them."""
    faults: list[str] = []
    while True:
        decision = await ctx.approve(
            "the plan",
            plan.model_dump(),
            effect=f"Starts {len(plan.tasks)} runs of agents.",
            why=" ".join(faults),
            form=plan_form(agents, options.max_tasks),
        )
        if not decision.is_approved:
            raise PlanRefused(f"The plan was not approved. {decision.comment}".strip())
        plan = TeamPlan.model_validate(decision.arguments)
        faults = faults_of(plan, agents, options.max_tasks)
        if not faults:
            return plan


async def _plan_anew(
    ctx: Context, goal: str, roster: Roster, options: TeamOptions, board: Board, failed: list[dict[str, Any]]
) -> None:
    """Have the planner replace what has failed, and what needed that, by new tasks; there may be none."""
    left = options.max_tasks - len(board.kept())
    if left < 1:
        return
    agents = {worker.name: worker.description for worker in roster.workers.values()}
    asked = planning.order(goal, agents, left, earlier=board.listed(), failed=failed)
    plan = TeamPlan.model_validate(await roster.ask(ctx, "plan", asked))
    if plan.tasks:
        board.put(plan)
        await ctx.emit("plan", plan.model_dump())


async def _answer(ctx: Context, goal: str, roster: Roster, options: TeamOptions, results: list[JSON]) -> JSON:
    """Write the answer; a draft that the reviewer does not find right is written again, `reflect` times at most."""
    found: dict[str, JSON] = {"goal": goal, "results": results}
    schema = ctx.agent.output_schema if ctx.agent else None
    asked = {**found, "form": {"schema": schema, "repairs": options.repairs}} if schema else found
    draft = await roster.ask(ctx, "write", asked)
    points: list[str] = []
    for number in range(1, options.reflect + 1):
        shown = {"text": draft["text"], "citations": draft["citations"]}
        verdict = reviewing.Verdict.model_validate(await roster.ask(ctx, "review", {**found, "draft": shown}))
        points = verdict.points if verdict.sends_back else []
        await ctx.emit("review", {"round": number, "ok": not points, "points": points})
        if not points:
            break
        draft = await roster.ask(ctx, "write", {**asked, "draft": draft, "points": points})
    left_out = [{"id": one["id"], "goal": one["goal"], **one["error"]} for one in results if "error" in one]
    return {
        "text": draft["text"],
        "citations": draft["citations"],
        **({"value": draft["value"]} if schema else {}),
        **({"left_out": left_out} if left_out else {}),
    }


def _retries(options: TeamOptions) -> int:
    return 0 if options.on_failure == "leave_out" else options.retries


@checks_options("team")
def _check(options: Mapping[str, Any], sub_agents: Sequence[str]) -> list[Fault]:
    if faults := faults_in(TeamOptions, options):
        return faults
    roles = {role: str(options[role]) for role in ("planner", "reviewer", "writer") if role in options}
    workers = {f"workers.{number}": name for number, name in enumerate(options.get("workers") or [])}
    return unknown_agents({**roles, **workers}, sub_agents)
