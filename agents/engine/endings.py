"""How a run leaves its worker: what is written with the last change, and in which words."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON, clean_text, encode, message_of
from agents.engine.errors import NotEncodable, StepFailed
from agents.engine.happening_records import About
from agents.engine.recording import close_step, drop_call, put_step
from agents.engine.records import ON_CANCEL, Change, ChildRecord, Finish, Park, Release, StepState, Target, WaitRecord
from agents.engine.registry import cancel_handler

if TYPE_CHECKING:
    from agents.engine.execution import Execution

MAX_ERROR = 4_000
MAX_REASON = 300
_PHRASES = {
    "changed": "workflow changed at {}: reuse or run again?",
    "unknown": "outcome of {} unknown: done, retry or give up?",
    "process": "waiting for a process of its own: {}",
    "worker": "waiting for a worker that knows the workflow {}",
    "person": "waiting for a person: {}",
    "event": "waiting: event {}",
}


def succeeded(x: Execution, output: Any) -> Change:
    """End the run with the workflow's result; a result without a JSON form makes it a failure."""
    try:
        text = encode(output)
    except NotEncodable as error:
        return failed(x, error)
    _close_open_steps(x)
    x.log("run_succeeded", {})
    change = x.change()
    change.about = about_of(x)
    change.ending = Finish("succeeded", output=text, tainted=x.is_tainted)
    return change


def failed(x: Execution, error: BaseException) -> Change:
    """End the run with the failure that came out of the workflow."""
    described = describe(error)
    _close_open_steps(x)
    x.log("run_failed", {"error": described})
    change = x.change()
    reason = _short(f"failed: {described['message']}")
    change.about = about_of(x)
    change.ending = Finish("failed", error=encode(described), reason=reason, tainted=x.is_tainted)
    return change


def cancelled(x: Execution) -> Change:
    """End the run because somebody cancelled it; what its open steps have streamed is kept."""
    _close_open_steps(x)
    x.log("run_cancelled", {})
    change = x.change()
    change.about = about_of(x)
    change.ending = Finish("cancelled", reason="cancelled")
    if handler := cancel_handler(x.claimed.workflow):
        input = encode({"run": x.id, "input": x.input})
        target = Target(handler, x.claimed.agent_version_id)
        given = (x.is_tainted, tools_for_children(x), x.meter.budget if x.meter is not None else None)
        change.children.append(ChildRecord(uuid7(), target, ON_CANCEL, input, x.priority, x.stamp(), *given))
    return change


def parked(x: Execution, waits: Sequence[WaitRecord]) -> Change:
    """Let the run wait without a worker."""
    reason = reason_of(waits)
    listed = [{"kind": w.kind, "key": w.key, "due_at": w.due_at.isoformat() if w.due_at else None} for w in waits[:20]]
    kind = "run_paused" if any(wait.kind == "paused" for wait in waits) else "run_waiting"
    x.log(kind, {"reason": reason, "waits": listed})
    change = x.change()
    change.about = about_of(x)
    change.ending = Park(tuple(waits), reason, x.seen_wakes)
    return change


def released(x: Execution, reason: str) -> Change:
    """Give the run back to the queue; steps that it executes were interrupted, which is not their fault."""
    for key, step in x.open.items():
        if not step.is_elsewhere:
            x.log("step_interrupted", {"key": key, "attempt": step.record.attempt, "reason": reason})
    x.log("run_queued", {"reason": reason})
    change = x.change()
    change.ending = Release(reason)
    return change


def about_of(x: Execution) -> About:
    """Say what a run is, for the events of its life."""
    agent, claimed = x.agent, x.claimed
    name, version = (None, None) if agent is None else (agent.name, agent.version)
    return About(claimed.workflow, name, version, claimed.created_at, x.is_tainted)


def describe(error: BaseException) -> dict[str, JSON]:
    """Give the JSON form of an error: type, message, the step that failed, and where in the code it was raised."""
    if isinstance(error, StepFailed):
        return {"type": error.type, "message": error.message, "step": error.key}
    described: dict[str, JSON] = {
        "type": type(error).__name__,
        "message": message_of(error)[:MAX_ERROR] or type(error).__name__,
    }
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        last = frames[-1]
        described["where"] = f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno} in {last.name}"
    return described


def tools_for_children(x: Execution) -> str | None:
    """Give, as JSON text, what limits the tools of a run's sub-runs: they never have more than it has."""
    return None if x.tools is None else encode(x.tools)


def _close_open_steps(x: Execution) -> None:
    for key, step in x.open.items():
        status: StepState = "unknown" if step.record.effect == "unsafe" else "interrupted"
        error = {"type": "Interrupted", "message": "The run ended while this step was running."}
        if step.streamed:
            error["partial"] = clean_text("".join(step.streamed))
        change = x.change()
        put_step(x, step.record.follow(status=status, finished_at=x.stamp(), error=encode(error)))
        change.streamed.append(key)
        x.log("step_interrupted", {"key": key, "attempt": step.record.attempt, "status": status})
        drop_call(x, key)
    for key in list(x.calls):
        # The run ends before its code has come to this step again.
        if x.steps[key].status == "running":
            close_step(x, key, "The run ended while this step was running.")
        drop_call(x, key)


def reason_of(waits: Sequence[WaitRecord]) -> str:
    """Say in words what the run waits for, the most telling first."""
    phrases: list[str] = []
    if any(wait.kind == "paused" for wait in waits):
        phrases.append("paused")
    children = sum(wait.needed for wait in waits if wait.kind == "child")
    if children:
        phrases.append("waiting for a sub-run" if children == 1 else f"waiting for {children} sub-runs")
    phrases += _limits(waits)
    for wait in waits:
        if wait.kind == "place":
            phrases.append(f"waiting: {wait.key}")
        if wait.kind in _PHRASES:
            phrases.append(_PHRASES[wait.kind].format(wait.name).rstrip())
    timers = sorted((wait.due_at, wait.name) for wait in waits if wait.due_at is not None and wait.kind == "timer")
    if timers:
        due, name = timers[0]
        phrases.append(f"{'retrying' if name == 'retry' else 'waiting'} until {_clock_time(due)}")
    return _short("; ".join(phrases))


def _limits(waits: Sequence[WaitRecord]) -> list[str]:
    """Say which limits it waits for, each once, and when the first place is expected."""
    earliest: dict[str, datetime] = {}
    for wait in waits:
        if wait.kind == "slot" and wait.due_at is not None:
            earliest[wait.name] = min(wait.due_at, earliest.get(wait.name, wait.due_at))
    return [f"waiting: limit {name}, about {_clock_time(due)}" for name, due in earliest.items()]


def _clock_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _short(text: str) -> str:
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
