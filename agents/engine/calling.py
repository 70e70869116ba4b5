"""Calling a tool: by leave where it takes one, as a step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from agents.engine.artifacts import keep_file
from agents.engine.canonical import JSON, digest
from agents.engine.errors import NeedsApproval, Permanent, StepFailed
from agents.engine.handover import call_in_process
from agents.engine.messages import ToolCall, ToolResult
from agents.engine.permitting import Leave, permitted
from agents.engine.plans import Attempt, Plan
from agents.engine.ports import CallInfo, Progress, ToolSpec
from agents.engine.progress import PROGRESS, Pace, progress_data
from agents.engine.retry import Retry
from agents.engine.stepping import perform

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

RETRY = Retry()


async def call_tool(
    x: Execution, scope: Scope, call: ToolCall, *, retry: Retry | None, timeout: float | None
) -> ToolResult:
    """Call a tool as it may be called; raises StepFailed if it may not, or failed."""
    leave = await permitted(x, scope, call)
    try:
        return await _perform(x, scope, leave, retry, timeout)
    except StepFailed as failure:
        if leave.is_given or failure.type != NeedsApproval.__name__:
            raise
        # The tool found out by itself: nothing is done yet, and the call is made anew once a person allows it.
        leave = await permitted(x, scope, call, because=failure.message)
        return await _perform(x, scope, leave, retry, timeout)


async def _perform(x: Execution, scope: Scope, leave: Leave, retry: Retry | None, timeout: float | None) -> ToolResult:
    call, spec = leave.call, tool_spec(x, leave.call.name)
    seconds = timeout if timeout is not None else (spec.timeout if spec else None)
    is_elsewhere = spec is not None and spec.isolation == "process" and x.host.ports.processes is not None

    async def execute(attempt: Attempt) -> ToolResult:
        if spec is None:
            raise Permanent(f"There is no tool named {call.name!r}.", "UnknownTool")
        if is_elsewhere:
            return await call_in_process(x, spec, attempt, timeout=seconds or spec.timeout, is_approved=leave.is_given)
        info = call_info(x, attempt, is_approved=leave.is_given)
        return await x.host.ports.tools.call(call.name, dict(call.arguments), info)

    plan = Plan(
        kind="tool",
        name=f"tool:{call.name}",
        title=call.name,
        digest=digest([call.name, dict(call.arguments)]),
        input=lambda: dict(call.arguments),
        label=spec.kind if spec else "act",
        effect=spec.effect if spec else "none",
        retry=retry or (spec.retry if spec else None) or RETRY,
        timeout=seconds,
        begins_itself=spec is not None and not is_elsewhere,
        taints=spec is not None and spec.trust == "untrusted",
        is_elsewhere=is_elsewhere,
    )
    key, outcome = await perform(x, scope, plan, execute)
    return ToolResult.from_json({**outcome, "call_id": call.id, "name": call.name}, key)


def tool_spec(x: Execution, name: str) -> ToolSpec | None:
    """Give a tool's specification, None if there is no such tool."""
    try:
        return x.host.ports.tools.spec(name)
    except KeyError:
        return None


def offered(x: Execution, tools: Iterable[str | ToolSpec]) -> tuple[ToolSpec, ...]:
    """Give the specifications of what a model may call; names of unknown tools are left out."""
    port, given = x.host.ports.tools, list(tools)
    known = {spec.name: spec for spec in port.specs([tool for tool in given if isinstance(tool, str)])}
    specs = [known.get(tool) if isinstance(tool, str) else tool for tool in given]
    return tuple(spec for spec in specs if spec is not None)


def call_info(x: Execution, attempt: Attempt, *, is_approved: bool = False) -> CallInfo:
    """Tell whoever carries a call out where it comes from, and how it begins."""

    async def begin() -> float | None:
        await attempt.begin()
        return attempt.deadline

    async def wait_until(due: datetime, what: str) -> None:
        await x.wait_until(attempt.key, due, what, kind="slot")

    return CallInfo(
        workspace_id=x.claimed.workspace_id,
        run_id=x.id,
        step_key=attempt.key,
        attempt=attempt.number,
        idempotency_key=attempt.idempotency_key,
        now=x.host.clock.now,
        worker_id=x.host.journal.worker_id,
        is_resumed=not x.claimed.is_fresh,
        is_approved=is_approved,
        begin=begin,
        wait_until=wait_until,
        keep=partial(keep_file, x, attempt),
        progress=_progress_of(x, attempt),
    )


def _progress_of(x: Execution, attempt: Attempt) -> Progress:
    """Give what logs how far a call has come; a tool may tell from a thread, and more often than anybody reads."""
    loop, pace = asyncio.get_running_loop(), Pace()

    def log(data: JSON) -> None:
        step = x.open.get(attempt.key)
        if not x.sealed and step is not None and step.record.attempt == attempt.number:
            x.log(PROGRESS, data)

    def progress(text: str, done: float | None) -> None:
        if pace.is_time():
            loop.call_soon_threadsafe(log, progress_data(attempt.key, attempt.number, text, done))

    return progress
