"""One step: return its recorded outcome, or execute it, attempt by attempt, and record the outcome.

This is the one mechanism behind think, tool, step and artifact.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from agents.engine.artifacts import record_file
from agents.engine.canonical import JSON, decode, encode, message_of
from agents.engine.deciding import ask_for_outcome, reconsider
from agents.engine.endings import MAX_ERROR
from agents.engine.errors import (
    Interrupted,
    LoopBlocked,
    NeedsApproval,
    NoEffect,
    NotEncodable,
    Permanent,
    Retryable,
    Sealed,
    StepFailed,
    StepTimeout,
)
from agents.engine.journal.store import Unwritable
from agents.engine.marks import blocked_name, step_mark
from agents.engine.metering import take_step
from agents.engine.plans import NEXT, Attempt, Executor, OpenStep, Plan
from agents.engine.recording import (
    fail_step,
    finish_step,
    log_step,
    new_step,
    outcome_of,
    update_step,
    with_entry,
)
from agents.engine.records import MessageRecord, StepRecord
from agents.engine.starts import note_start

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

UNSAFE_MARGIN = 1.0
"""Seconds of lease that must be left before an unsafe act."""
BEGIN_AGAIN = 1.0
"""Seconds until an unsafe step that its worker kept from beginning tries to begin again."""


class NotBegun(NoEffect):
    """The worker's lease kept an unsafe step from beginning: not the step's fault, so no attempt of it is used up."""


NOT_ITS_FAULT = (Interrupted.__name__, NotBegun.__name__)


async def perform(x: Execution, scope: Scope, plan: Plan, execute: Executor) -> tuple[str, JSON]:
    """Give the step's key and its outcome as a replay will see it; raises StepFailed."""
    key = scope.next_key(plan.name)
    record = x.steps.get(key)
    if record is not None:
        await x.host.breathe()
        if record.digest != plan.digest:
            record = await reconsider(x, key, plan, record)
    if record is None or not record.is_done:
        outside, scope.mark = scope.mark, step_mark(x.mark, key)
        x.host.marks.put(scope.mark)
        try:
            record = await _execute(x, key, plan, execute, record)
        finally:
            scope.mark = outside
            x.host.marks.put(outside)
            if x.meter is not None:
                x.meter.settle(key)
    scope.saw(record.finished_at)
    return key, await outcome_of(x, record)


async def _execute(x: Execution, key: str, plan: Plan, execute: Executor, record: StepRecord | None) -> StepRecord:
    if not x.is_open:
        await x.gate()
        if record is None:
            await take_step(x, key)
    if blocked := x.waiting.early(blocked_name(key)):
        record = await _after_blocks(x, blocked, record or new_step(x, key, plan), plan)
        if record.is_done:
            return record
    elif record is None:
        record = new_step(x, key, plan)
    elif record.status == "retrying":
        record = await _next_attempt(x, record, plan)
    elif plan.is_elsewhere and record.status == "running":
        return await _attempt_until_done(x, record, plan, execute, is_under_way=True)
    elif plan.effect == "unsafe":
        decided = await ask_for_outcome(x, record, plan)
        if decided.is_done:
            return decided
        record = await _next_attempt(x, decided, plan)
    else:
        record = _note_interruption(x, record, plan)
    return await _attempt_until_done(x, record, plan, execute)


async def _attempt_until_done(
    x: Execution, record: StepRecord, plan: Plan, execute: Executor, *, is_under_way: bool = False
) -> StepRecord:
    while True:
        if not x.is_open:
            await x.gate()
        step = OpenStep(record, [], has_begun=False)
        try:
            try:
                if plan.is_elsewhere:
                    attempt, text = await _attempt_elsewhere(x, step, execute, is_new=not is_under_way)
                elif plan.begins_itself:
                    attempt, text = await _attempt_when_ready(x, step, plan, execute)
                else:
                    await _begin(x, step, plan)
                    attempt, text = await _attempt(x, step, plan, execute)
            except Unwritable:
                raise  # The intent is not in the tables: nothing to record an attempt of.
            except Exception as error:
                if x.sealed:
                    raise Sealed from error
                record = await _after_failure(x, step, plan, error)
                if record.is_done:
                    return record
                is_under_way = False
                continue
            return await _record_success(x, step, attempt, text, taints=plan.taints)
        finally:
            if x.open.get(record.key) is step and not x.sealed:
                del x.open[record.key]


async def _begin(x: Execution, step: OpenStep, plan: Plan) -> None:
    """Open the step: from here on its attempt counts."""
    step.has_begun = True
    x.open[step.record.key] = step
    if plan.effect == "unsafe":
        await _declare_intent(x, step.record)
    else:
        x.host.starts.add(x, step)


async def _begin_when_ready(x: Execution, step: OpenStep, plan: Plan) -> None:
    """Open a step whose executor may have waited: nothing of it is stored yet, and by now it may be held or stopped."""
    if not x.is_open:
        await x.gate()
    if step.record.status == "retrying":
        step.record = _begun_anew(x, step.record)
    elif not step.record.is_put:
        step.record.started_at = x.stamp()
    await _begin(x, step, plan)


async def _declare_intent(x: Execution, record: StepRecord) -> None:
    """Commit the start of an unsafe step before it acts, and act only while the lease surely holds.

    Whoever takes the run over waits from that start for a lease and the step's time before a person is asked. So the
    act must begin within a lease of its start, even if the database was away before it took the intent.
    """
    note_start(x, record)
    latest = x.host.clock.now() + timedelta(seconds=x.host.lease_seconds - UNSAFE_MARGIN)
    answer = await x.commit()
    if answer.wanted == "cancel":
        raise Sealed
    if x.host.lease_left() < UNSAFE_MARGIN:
        raise NotBegun("The worker's lease was about to run out.")
    if x.host.clock.now() > latest:
        raise NotBegun("Declaring the step took too long.")


def _new_attempt(x: Execution, step: OpenStep, number: int) -> Attempt:
    key = step.record.key

    def stream(text: str) -> None:
        step.streamed.append(text)
        x.host.ports.partials.append(x.id, key, number, text)

    return Attempt(key=key, number=number, run_id=x.id, deadline=None, stream=stream)


async def _attempt(x: Execution, step: OpenStep, plan: Plan, execute: Executor) -> tuple[Attempt, str]:
    attempt = _new_attempt(x, step, step.record.attempt)
    if plan.timeout is None:
        return attempt, encode(await execute(attempt))
    attempt.deadline = step.deadline = asyncio.get_running_loop().time() + plan.timeout
    try:
        async with asyncio.timeout_at(attempt.deadline) as limit:
            return attempt, encode(await execute(attempt))
    except TimeoutError as error:
        if limit.expired():
            raise _out_of_time(step, plan) from error
        raise


async def _attempt_when_ready(x: Execution, step: OpenStep, plan: Plan, execute: Executor) -> tuple[Attempt, str]:
    """Execute an attempt that begins itself: what it waits for before is neither recorded nor taken from its time."""
    attempt = _new_attempt(x, step, step.record.attempt + (step.record.status == "retrying"))
    limit = asyncio.timeout(None)

    async def begin() -> None:
        if step.has_begun:
            return
        await _begin_when_ready(x, step, plan)
        if plan.timeout is not None:
            attempt.deadline = step.deadline = asyncio.get_running_loop().time() + plan.timeout
            limit.reschedule(attempt.deadline)

    attempt.begin = begin
    try:
        async with limit:
            return attempt, encode(await execute(attempt))
    except TimeoutError as error:
        if limit.expired():
            raise _out_of_time(step, plan) from error
        raise


async def _attempt_elsewhere(x: Execution, step: OpenStep, execute: Executor, *, is_new: bool) -> tuple[Attempt, str]:
    """Execute an attempt in another process, to which the executor hands it over in the change that has its start."""
    step.has_begun = step.is_elsewhere = True
    x.open[step.record.key] = step
    attempt = _new_attempt(x, step, step.record.attempt)
    attempt.is_new = is_new
    if is_new:
        note_start(x, step.record)
    return attempt, encode(await execute(attempt))


def _out_of_time(step: OpenStep, plan: Plan) -> StepTimeout:
    return StepTimeout("StepTimeout", f"not done within {plan.timeout:g} s", step.record.key)


async def _record_success(x: Execution, step: OpenStep, attempt: Attempt, text: str, *, taints: bool) -> StepRecord:
    if x.sealed:
        raise Sealed
    step.is_over = True
    usage: dict[str, Any] = {}
    if attempt.usage is not None:
        usage = {
            "input_tokens": attempt.usage.input_tokens,
            "output_tokens": attempt.usage.output_tokens,
            "cost_microusd": attempt.usage.cost_microusd,
        }
    record = finish_step(x, step.record, text, **usage)
    # Recorded from here on, whatever becomes of its branch before the answer: nobody may close it as interrupted.
    x.open.pop(record.key, None)
    change = x.change()
    if taints:
        x.taint(record.key)
    if step.streamed:
        change.streamed.append(record.key)
    if attempt.artifact is not None:
        record_file(x, attempt.artifact)
    try:
        await x.commit()
    except Unwritable as error:
        described = {"type": "NotEncodable", "message": f"The database refused it: {error}"}
        record = fail_step(x, record, described, input_tokens=0, output_tokens=0, cost_microusd=None)
        record.is_counted = False  # The refused change was not.
        await x.commit()
    return record


async def _after_failure(x: Execution, step: OpenStep, plan: Plan, error: Exception) -> StepRecord:
    """Record a failed attempt; give the failed step, or the record of the next attempt once its time has come."""
    record = step.record
    step.is_over = True
    x.open.pop(record.key, None)
    described = _describe(error)
    if plan.effect == "unsafe" and step.has_begun and not isinstance(error, NoEffect):
        record = await ask_for_outcome(x, record, plan, described)
        return record if record.is_done else await _next_attempt(x, record, plan)
    failures = _failures(record) + 1
    pause = None
    if isinstance(error, NotBegun):
        pause = BEGIN_AGAIN
    elif isinstance(error, Interrupted):
        pause = 0.0
    elif not isinstance(error, (Permanent, NotEncodable, NeedsApproval)):
        retry_after = error.retry_after if isinstance(error, Retryable) else None
        pause = plan.retry.pause_after(failures, Random(f"{x.id}{record.key}{failures}"), retry_after)  # noqa: S311 (jitter)
    note = plan.instead(record, error, pause) if plan.instead is not None else None
    if note is not None:
        pause = 0.0
    if step.streamed:
        x.change().streamed.append(record.key)
    if pause is None:
        failed = fail_step(x, record, described | {"attempts": record.attempt})
        if plan.taints:
            x.taint(record.key)
        await x.commit()
        return failed
    due = x.stamp() + timedelta(seconds=pause)
    entry = {**described, **(note or {}), "number": record.attempt, "at": x.stamp(), "retry_at": due}
    record = update_step(x, record, status="retrying", attempts=with_entry(record, entry))
    log_step(x, "step_retrying", record, error=described, delay=round(pause, 3), **(note or {}))
    if pause > x.host.short_pause:
        await x.commit()
    return await _next_attempt(x, record, plan)


async def _after_blocks(x: Execution, blocked: MessageRecord | None, record: StepRecord, plan: Plan) -> StepRecord:
    """The step kept the loop from turning until its worker was killed: each time that was a failed attempt."""
    while blocked is not None and not record.is_done:
        x.change().consumed.append(blocked.id)
        if record.status == "retrying":
            record = _begun_anew(x, record)
        record = await _after_failure(x, OpenStep(record, []), plan, LoopBlocked(**decode(blocked.data)))
        blocked = x.waiting.early(blocked_name(record.key))
    return record


async def _next_attempt(x: Execution, record: StepRecord, plan: Plan) -> StepRecord:
    """Begin the next attempt once its time has come, unless it begins itself."""
    await x.wait_until(record.key, _retry_at(record), "retry")
    # Held here, by a pause or a stop, the step is between two attempts: none was interrupted.
    await x.gate()
    return record if plan.begins_itself else _begun_anew(x, record)


def _begun_anew(x: Execution, record: StepRecord) -> StepRecord:
    return update_step(x, record, status="running", attempt=record.attempt + 1)


def _note_interruption(x: Execution, record: StepRecord, plan: Plan) -> StepRecord:
    """An earlier attempt has a start and no end: a crash or a stop ended it."""
    now = x.stamp()
    entry = {"type": "Interrupted", "message": "The worker went away.", "number": record.attempt, "at": now}
    log_step(x, "step_interrupted", record)
    x.change().streamed.append(record.key)
    if plan.begins_itself:
        attempts = with_entry(record, {**entry, "retry_at": now})
        return update_step(x, record, status="retrying", attempts=attempts, finished_at=None)
    return update_step(
        x, record, status="running", attempt=record.attempt + 1, attempts=with_entry(record, entry), finished_at=None
    )


def _retry_at(record: StepRecord) -> datetime:
    return datetime.fromisoformat(decode(record.attempts)[-1]["retry_at"])


def _failures(record: StepRecord) -> int:
    """Count the attempts that failed since the step goes about it as it does now.

    Those that a crash or a stop ended, or kept from beginning, are not counted.
    """
    count = 0
    for entry in decode(record.attempts) or ():
        count = 0 if NEXT in entry else count + (entry["type"] not in NOT_ITS_FAULT)
    return count


def _describe(error: Exception) -> dict[str, JSON]:
    match error:
        case StepFailed():
            return {"type": error.type, "message": error.message}
        case Permanent():
            name = error.type
        case _:
            name = type(error).__name__
    return {"type": name, "message": message_of(error)[:MAX_ERROR] or name}
