"""Asking a person about a step: its outcome is unknown, or the workflow changed there.

The run waits, parked like for anything else; the answer comes as a message.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from agents.engine.canonical import JSON, decode, encode
from agents.engine.errors import Sealed
from agents.engine.messages import ToolResult
from agents.engine.origins import COPIED
from agents.engine.plans import Plan
from agents.engine.recording import drop_call, fail_step, finish_step, log_step, update_step, with_entry
from agents.engine.records import StepRecord, WaitRecord
from agents.engine.scope import is_superseded_with

if TYPE_CHECKING:
    from agents.engine.execution import Execution


async def ask_for_outcome(
    x: Execution, record: StepRecord, plan: Plan, error: dict[str, JSON] | None = None
) -> StepRecord:
    """An unsafe step was interrupted: only a person can say what became of it.

    Whoever executed it may still be at it until its lease and its time are over, so it is not asked before.
    """
    if record.status == "running":
        described = error or {"type": "Interrupted", "message": "The worker went away during the step."}
        record = update_step(x, record, status="unknown", finished_at=x.stamp(), error=encode(described))
        log_step(x, "step_failed", record, error=described | {"unknown": True})
        await x.commit()
    if error is None and decode(record.error)["type"] == "Interrupted":
        # A later attempt began at a time that is not recorded, but before its interruption was noticed.
        began = record.started_at if record.attempt == 1 else (record.finished_at or x.stamp())
        settled = began + timedelta(seconds=x.host.lease_seconds + (plan.timeout or 0.0))
        await x.wait_until(record.key, settled, "settle")
    data = {
        "key": record.key,
        "name": record.name,
        "attempt": record.attempt,
        "input": decode(record.input),
        "error": decode(record.error),
    }
    wait = WaitRecord("unknown", key=decision_name(record.key), name=record.key[:200], data=encode(data))
    message = await x.message(decision_name(record.key), wait)
    x.change().consumed.append(message.id)
    return await _decided(x, record, decode(message.data))


async def _decided(x: Execution, record: StepRecord, decision: JSON) -> StepRecord:
    match decision["choice"]:
        case "done":
            record = finish_step(x, record, encode(_outcome(record, decision.get("outcome"))))
        case "retry":
            now = x.stamp()
            entry = {**(decode(record.error) or {}), "number": record.attempt, "at": now, "retry_at": now}
            attempts = with_entry(record, entry)
            return update_step(x, record, status="retrying", attempts=attempts, error=None, finished_at=None)
        case _:
            failure = {"type": "OutcomeUnknown", "message": "A person gave up on this step; its outcome is unknown."}
            record = fail_step(x, record, failure)
    await x.commit()
    return record


async def reconsider(x: Execution, key: str, plan: Plan, record: StepRecord) -> StepRecord:
    """The code now asks for something else than what is recorded under this key: a person decides.

    Of what a fork has copied a person has said before that it is reused; from then on it is a record like any other.
    """
    if record.digest == COPIED:
        return update_step(x, record, digest=plan.digest)
    await x.gate()
    asked = plan.input()
    data = {"key": key, "name": record.name, "asked": asked, "status": record.status}
    wait = WaitRecord("changed", key=decision_name(key), name=key[:200], data=encode(data))
    message = await x.message(decision_name(key), wait)
    x.change().consumed.append(message.id)
    choice = decode(message.data)["choice"]
    if choice == "reuse":
        record = update_step(x, record, digest=plan.digest)
        await x.commit()
        return record
    if choice == "rerun":
        run_again_from(x, record)
        raise Sealed
    failure = {"type": "WorkflowChanged", "message": "The workflow changed at this step and a person gave up on it."}
    record = fail_step(x, record, failure)
    await x.commit()
    return record


def run_again_from(x: Execution, record: StepRecord) -> None:
    """Set a step and what followed it aside, and leave: the next worker runs the code from there."""
    after = record.finished_at or record.started_at
    keys = [
        key
        for key, step in x.steps.items()
        if key == record.key or (step.started_at > after and is_superseded_with(key, record.key))
    ]
    x.change().superseded += keys
    for key in keys:
        drop_call(x, key)
    x.log("run_retried", {"superseded": keys})
    x.give_back(f"run again from {record.key}")


def _outcome(record: StepRecord, told: JSON) -> JSON:
    """Give what a person says came out of a step, in the form in which such steps have their outcome."""
    if record.kind != "tool":
        return told
    if told is None:
        return ToolResult("tool", "A person says that it was done.", name=record.name)
    return ToolResult("tool", told if isinstance(told, str) else encode(told), name=record.name, data=told)


def decision_name(key: str) -> str:
    """Give the name of the message in which a person's decision on a step comes."""
    return f"decide:{key}"
