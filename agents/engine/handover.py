"""Handing a tool call to a process of its own, and waiting for word of it.

The step's start, the call's row and its task are written together, with the run's park if it waits for nothing else.
The outcome comes as a message with the attempt's token, like the end of a sub-run. A run that comes back meanwhile
hands nothing over again: it waits on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from agents.engine import call_outcomes
from agents.engine.call_records import CallRecord, calls_of
from agents.engine.canonical import decode
from agents.engine.errors import Interrupted
from agents.engine.messages import ToolResult
from agents.engine.plans import Attempt
from agents.engine.ports import ToolSpec
from agents.engine.recording import MICROSECOND
from agents.engine.records import MessageRecord, StepRecord, WaitRecord

if TYPE_CHECKING:
    from agents.engine.execution import Execution

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def token_of(run_id: UUID, record: StepRecord) -> UUID:
    """Give the token of a step's present attempt: the same in every replay, another after a retry of the run."""
    return uuid5(run_id, f"{record.key}:{record.attempt}:{(record.started_at - EPOCH) // MICROSECOND}")


def message_name(key: str) -> str:
    """Give the name of the message in which the outcome of a step's process comes."""
    return f"process:{key}"


async def call_in_process(
    x: Execution, spec: ToolSpec, attempt: Attempt, *, timeout: float, is_approved: bool
) -> ToolResult:
    """Give what the tool answers in a process of its own, or raise what it raises there."""
    record = x.steps[attempt.key]
    token = token_of(x.id, record)
    if attempt.is_new:
        _hand_over(x, record, spec, token, timeout=timeout, is_approved=is_approved)
    message = await _word_of(x, record.key, token, spec.name, is_new=attempt.is_new)
    told = decode(message.data)
    settled = call_outcomes.settled_at(told)
    if settled is not None and record.effect == "unsafe":
        # It may still be acting: too early to ask anybody what came of it.
        await x.wait_until(record.key, settled, "settle")
    x.change().consumed.append(message.id)
    x.calls.pop(record.key, None)
    attempt.artifact = call_outcomes.artifact_of(told, record.key, x.stamp())
    return call_outcomes.result_of(told, record.key)


def _hand_over(
    x: Execution, record: StepRecord, spec: ToolSpec, token: UUID, *, timeout: float, is_approved: bool
) -> None:
    message = x.host.ports.processes
    assert message is not None
    x.calls[record.key] = token
    call = CallRecord(
        id=token,
        key=record.key,
        attempt=record.attempt,
        tool=spec.name,
        timeout=timeout,
        memory=spec.memory,
        is_approved=is_approved,
        message=message(token, timeout),
        queued_at=x.stamp(),
    )
    calls_of(x.change()).new.append(call)


async def _word_of(x: Execution, key: str, token: UUID, tool: str, *, is_new: bool) -> MessageRecord:
    name = message_name(key)
    message = x.waiting.early(name)
    if message is None and not is_new and not await x.host.is_called(token):
        # Nobody is at it any more; so what there is to hear of it was written before that.
        await x.read_inbox()
        message = x.waiting.early(name)
        if message is None:
            raise Interrupted("Its process is gone without a word.")
    while message is None or message.token != str(token):
        if message is not None:
            # Of an attempt that was set aside by a retry.
            x.change().consumed.append(message.id)
        message = await x.message(name, WaitRecord("process", key=name, name=tool))
    return message
