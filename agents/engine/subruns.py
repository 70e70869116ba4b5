"""Sub-runs: runs that a run starts and whose result it awaits.

The sub-run's first record is the step of its parent and its row in the queue, committed together; its end comes as a
message named like the step.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON, decode, digest, encode
from agents.engine.deciding import reconsider
from agents.engine.endings import tools_for_children
from agents.engine.errors import CapReached
from agents.engine.metering import deadline_for_child, take_children
from agents.engine.plans import Plan
from agents.engine.recording import fail_step, finish_step, log_step, outcome_of, record_step
from agents.engine.records import ChildRecord, StepRecord, Target, WaitRecord

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope


class SubRun:
    """A sub-run that was started. `id` is the run's."""

    def __init__(self, x: Execution, scope: Scope, key: str, id: UUID) -> None:
        self.id = id
        self.key = key
        self._x = x
        self._scope = scope

    async def result(self) -> JSON:
        """Wait for the sub-run's output; raises StepFailed if it failed or was cancelled."""
        record = await _ended(self._x, self.key, "")
        self._scope.saw(record.finished_at)
        return await outcome_of(self._x, record)


class SubRunCall:
    """A sub-run to be started and awaited: `await ctx.call(…)`."""

    def __init__(self, x: Execution, enter: Any, target: str, input: JSON, workflow: str, priority: int | None) -> None:
        self._x = x
        self._enter = enter
        self._target = target
        self._input = input
        self._workflow = workflow
        self._priority = priority

    def __await__(self) -> Generator[Any, None, JSON]:
        return self._run().__await__()

    async def _run(self) -> JSON:
        scope: Scope = self._enter("call")
        started = await start(self._x, scope, self._target, self._input, self._workflow, self._priority)
        record = await _ended(self._x, started.key, scope.join)
        scope.saw(record.finished_at)
        return await outcome_of(self._x, record)


async def start(x: Execution, scope: Scope, target: str, input: JSON, workflow: str, priority: int | None) -> SubRun:
    """Queue a sub-run, or give the one that was queued before."""
    asked = [target, input, workflow] if workflow else [target, input]
    plan = Plan("call", f"call:{target}", target, digest(asked))
    key = scope.next_key(plan.name)
    record = x.steps.get(key)
    if record is not None:
        if record.digest != plan.digest:
            record = await reconsider(x, key, plan, record)
        known = decode(record.input).get("run")
        if known is None:
            await outcome_of(x, record)  # No cap let it start: this raises the same again.
        return SubRun(x, scope, key, UUID(known))
    await x.gate()
    await reserve(x, key, Plan(plan.kind, plan.name, plan.title, plan.digest, lambda: {"input": input}))
    resolved = await x.host.resolve_target(x.claimed.workspace_id, target)
    if workflow:
        resolved = Target(workflow, resolved.agent_version_id)
    await x.gate()
    id = uuid7()
    plan = Plan(plan.kind, plan.name, plan.title, plan.digest, lambda: {"run": id, "input": input})
    record = record_step(x, key, plan)
    log_step(x, "step_started", record, run=str(id))
    x.change().children.append(child_of(x, id, resolved, key, input, priority, record.started_at))
    await settle(x, key)
    return SubRun(x, scope, key, id)


async def reserve(x: Execution, key: str, refused: Plan, count: int = 1) -> None:
    """Take the sub-runs that a step is to start of what the caps leave; refused, that is recorded and raised."""
    try:
        await take_children(x, key, count)
    except CapReached as reached:
        record = fail_step(x, record_step(x, key, refused), {"type": reached.type, "message": str(reached)})
        await x.commit()
        await outcome_of(x, record)


async def settle(x: Execution, key: str) -> None:
    """From their insert on the sub-runs of a step are counted with the tree, and reserved no more."""
    if x.meter is not None:
        await x.commit()
        x.meter.settle(key)


def child_of(
    x: Execution, id: UUID, target: Target, key: str, input: JSON, priority: int | None, at: datetime
) -> ChildRecord:
    """Make the record of a sub-run, with what it has from its parent."""
    return ChildRecord(
        id=id,
        target=target,
        parent_key=key,
        input=encode(input),
        priority=x.priority if priority is None else priority,
        created_at=at,
        tainted=x.is_tainted,
        tools=tools_for_children(x),
        budget=x.meter.budget if x.meter is not None else None,
        deadline_at=deadline_for_child(x, target, at),
    )


async def _ended(x: Execution, key: str, join: str) -> StepRecord:
    """Wait for the sub-run's end and record it as the step's outcome."""
    record = x.steps[key]
    if record.is_done:
        return record
    child = decode(record.input)["run"]
    message = await x.message(key, WaitRecord("child", key=key), join)
    while message.token != child:
        # The end of a sub-run that was set aside by a retry.
        x.change().consumed.append(message.id)
        message = await x.message(key, WaitRecord("child", key=key), join)
    record = x.steps[key]
    x.change().consumed.append(message.id)
    end = decode(message.data)
    if end.get("tainted"):
        x.taint(key)
    if end["status"] == "succeeded":
        record = finish_step(x, record, encode(end["output"]))
    else:
        error = end["error"] or {"type": "Cancelled", "message": "The sub-run was cancelled."}
        record = fail_step(x, record, {"type": error["type"], "message": error["message"]})
    await x.commit()
    return record
