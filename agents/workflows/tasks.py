"""The tasks of a team under way: each begins when what it needs is done, so many at once, as a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.engine import Context, Permanent
from agents.engine.canonical import JSON
from agents.workflows.delegating import citations_of, text_of
from agents.workflows.planning import Task, TeamPlan
from agents.workflows.sub_runs import run_agent, why

NEEDED = "NeededTaskFailed"
Result = dict[str, Any]
"""What a task came to: id, agent, goal, run; text and citations, or an error with type and message."""


class TaskFailed(Permanent):
    """A task of the plan has failed, and the team is to end with it."""


@dataclass(frozen=True, slots=True)
class Worker:
    """An agent that does tasks; `workflow` only if it is not to be its own."""

    name: str
    description: str = ""
    workflow: str = ""


@dataclass(slots=True)
class Board:
    """The tasks of a team, and what became of them."""

    ctx: Context
    goal: str
    workers: Mapping[str, Worker]
    width: int
    retries: int
    _tasks: dict[str, Task] = field(default_factory=dict)
    _open: dict[str, Task] = field(default_factory=dict)
    _results: dict[str, Result] = field(default_factory=dict)

    def put(self, plan: TeamPlan) -> None:
        """Add the tasks of a plan to those that are to be done."""
        for task in plan.tasks:
            self._tasks[task.id] = self._open[task.id] = task

    async def work(self, *, stops: bool) -> list[Result]:
        """Do what can be done; give what failed meanwhile, as `{"id", "why"}`. With `stops`, a failure is raised."""
        pool, running, failed = self.ctx.pool(), dict[int, Task](), list[Result]()
        while True:
            failed += await self._drop_hopeless()
            for task in self._ready()[: self.width - len(running)]:
                del self._open[task.id]
                await self._tell(task, "started")
                running[pool.add(self._do(task))] = task
            if not running:
                return failed
            index, result = await pool.next()
            task = running.pop(index)
            self._results[task.id] = result
            error = result.get("error")
            await self._tell(task, "failed" if error else "done", run=result["run"], why=why(error))
            if error and stops:
                raise TaskFailed(f"Task {task.id!r} failed: {why(error)}")
            if error:
                failed.append({"id": task.id, "why": why(error)})

    def results(self) -> list[Result]:
        """Give what all tasks came to, in the order of the plan."""
        return [self._results[id] for id in self._tasks if id in self._results]

    def kept(self) -> list[str]:
        """Give the tasks that have not failed."""
        return [id for id in self._tasks if "error" not in self._results.get(id, {})]

    def listed(self) -> list[JSON]:
        """Give all tasks as a planner knows them."""
        return [task.model_dump() for task in self._tasks.values()]

    def why(self) -> str:
        """Say why tasks have failed."""
        errors = [(id, result["error"]) for id, result in self._results.items() if "error" in result]
        return " ".join(f"{id}: {why(error).rstrip('.')}." for id, error in errors[:5])

    def _ready(self) -> list[Task]:
        return [task for task in self._open.values() if all(need in self._results for need in task.needs)]

    async def _drop_hopeless(self) -> list[Result]:
        """Leave out the tasks that need one that failed; and so what needs them."""
        dropped: list[Result] = []
        while True:
            hopeless = {
                task.id: next(need for need in task.needs if "error" in self._results.get(need, {}))
                for task in self._open.values()
                if any("error" in self._results.get(need, {}) for need in task.needs)
            }
            if not hopeless:
                return dropped
            for id, need in hopeless.items():
                task, why = self._open.pop(id), f"It needs {need!r}, which failed"
                error = {"type": NEEDED, "message": why}
                self._results[id] = {"id": id, "agent": task.agent, "goal": task.goal, "run": "", "error": error}
                await self._tell(task, "left out", why=why)
                dropped.append({"id": id, "why": why})

    async def _do(self, task: Task) -> Result:
        """Do a task, again if it fails; whatever comes of it is its result."""
        worker = self.workers[task.agent]
        came = await run_agent(self.ctx, worker.name, self._input(task), workflow=worker.workflow, retries=self.retries)
        about: Result = {"id": task.id, "agent": task.agent, "goal": task.goal, "run": came.run}
        if came.error:
            return {**about, "error": came.error}
        cited = [citation.to_json() for citation in citations_of(came.output, came.run)]
        return {**about, "text": text_of(came.output), "citations": cited}

    def _input(self, task: Task) -> JSON:
        known = [self._results[need] for need in task.needs]
        if not known:
            return {"goal": task.goal}
        parts = [f"## {one['goal']}\n\n{one['text']}" for one in known]
        return {"goal": task.goal, "context": "\n\n".join(["What others have found out for this:", *parts])}

    async def _tell(self, task: Task, state: str, *, run: str = "", why: str = "") -> None:
        data: dict[str, JSON] = {"id": task.id, "agent": task.agent, "state": state}
        data |= {"run": run} if run else {}
        data |= {"why": why} if why else {}
        await self.ctx.emit("task", {**data, "done": len(self._results), "of": len(self._tasks)})
