"""One step: return its recorded outcome, or execute it, attempt by attempt, and record the outcome.

This is the one mechanism behind think, tool, step and artifact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import zstandard
from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON, clean_text, decode, encode
from agents.engine.endings import MAX_ERROR
from agents.engine.errors import NoEffect, NotEncodable, Permanent, Retryable, Sealed, StepFailed, StepTimeout
from agents.engine.execution import OpenStep
from agents.engine.journal.store import Unwritable
from agents.engine.messages import Usage
from agents.engine.ports import Effect
from agents.engine.records import ArtifactRecord, LargeRecord, StepRecord, WaitRecord
from agents.engine.retry import Retry

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

MAX_INLINE = 256 * 1024
"""Outcomes of more bytes go compressed into a table of their own."""
UNSAFE_MARGIN = 1.0
"""Seconds of lease that must be left before an unsafe act."""
_compress = zstandard.ZstdCompressor(level=3).compress
_decompress = zstandard.ZstdDecompressor().decompress


@dataclass(frozen=True, slots=True)
class Plan:
    """What the code asks for: a step's identity, and how it is to be executed.

    `name` is counted in the scope, `title` is shown; `input` is JSON for the record; `timeout` in seconds.
    """

    kind: str
    name: str
    title: str
    digest: str
    input: Callable[[], JSON] = field(default=lambda: None)
    label: str = ""
    effect: Effect = "none"
    retry: Retry = field(default_factory=Retry)
    timeout: float | None = None


@dataclass(slots=True)
class Attempt:
    """One attempt, as the function that executes it sees it. It may leave its usage and artifacts here."""

    key: str
    number: int
    idempotency_key: str
    deadline: float | None
    stream: Callable[[str], None]
    usage: Usage | None = None
    artifact: ArtifactRecord | None = None


Executor = Callable[[Attempt], Awaitable[Any]]


async def perform(x: Execution, scope: Scope, plan: Plan, execute: Executor) -> tuple[str, JSON]:
    """Give the step's key and its outcome as a replay will see it; raises StepFailed."""
    key = scope.next_key(plan.name)
    record = x.steps.get(key)
    if record is None:
        record = await _execute(x, key, plan, execute, None)
    else:
        await x.host.breathe()
        if record.digest != plan.digest:
            record = await reconsider(x, key, plan, record)
        if not record.is_done:
            record = await _execute(x, key, plan, execute, record)
    scope.saw(record.finished_at)
    return key, await outcome_of(x, record)


async def outcome_of(x: Execution, record: StepRecord) -> JSON:
    """Decode a done step's outcome; raises its failure."""
    if record.status == "failed":
        error = decode(record.error)
        failure = StepTimeout if error["type"] == "StepTimeout" else StepFailed
        raise failure(error["type"], error["message"], record.key)
    if record.large is not None:
        return decode(_decompress(await x.host.load_large(record.large)))
    return decode(record.outcome)


def record_step(x: Execution, key: str, plan: Plan, **values: Any) -> StepRecord:
    """Put a new step into the change that is gathering."""
    recorded_input = plan.input()
    record = StepRecord(
        key=key,
        kind=plan.kind,
        name=plan.title[:100],
        started_at=x.stamp(),
        label=plan.label,
        effect=plan.effect,
        digest=plan.digest,
        input=None if recorded_input is None else encode(recorded_input),
        **values,
    )
    x.steps[key] = x.change().steps[key] = record
    return record


def update_step(x: Execution, record: StepRecord, **changes: Any) -> StepRecord:
    """Put a step's next state into the change that is gathering."""
    new = record.follow(**changes)
    x.steps[record.key] = x.change().steps[record.key] = new
    return new


def finish_step(x: Execution, record: StepRecord, text: str, **changes: Any) -> StepRecord:
    """Put a step's outcome, a JSON text, into the change that is gathering."""
    if len(text) > MAX_INLINE:
        large = LargeRecord(uuid7(), _compress(text.encode()))
        x.change().larges.append(large)
        changes["large"] = large.id
    else:
        changes["outcome"] = text
    new = update_step(x, record, status="succeeded", finished_at=x.stamp(), error=None, **changes)
    log_step(x, "step_finished", new)
    return new


def fail_step(x: Execution, record: StepRecord, error: JSON) -> StepRecord:
    """Put a step's failure into the change that is gathering."""
    new = update_step(x, record, status="failed", finished_at=x.stamp(), error=encode(error))
    log_step(x, "step_failed", new, error=error)
    return new


def log_step(x: Execution, kind: str, record: StepRecord, **more: JSON) -> Any:
    """Log what happened to a step."""
    data: dict[str, JSON] = {
        "key": record.key,
        "kind": record.kind,
        "name": record.name,
        "label": record.label,
        "attempt": record.attempt,
    }
    if record.finished_at is not None:
        data["started_at"] = record.started_at
        data["ms"] = round((record.finished_at - record.started_at).total_seconds() * 1000, 1)
        if record.input_tokens or record.output_tokens:
            data["tokens"] = record.input_tokens + record.output_tokens
            data["cost_microusd"] = record.cost_microusd
    return x.log(kind, data | more)


async def _execute(x: Execution, key: str, plan: Plan, execute: Executor, record: StepRecord | None) -> StepRecord:
    await x.gate()
    if record is None:
        record = record_step(x, key, plan)
    elif record.status == "retrying":
        await x.wait_until(key, _retry_at(record), "retry")
        record = _next_attempt(x, record)
    elif plan.effect == "unsafe":
        decided = await _ask_for_outcome(x, record, plan)
        if decided.is_done:
            return decided
        record = decided
    else:
        record = _note_interruption(x, record)
    return await _attempt_until_done(x, record, plan, execute)


async def _attempt_until_done(x: Execution, record: StepRecord, plan: Plan, execute: Executor) -> StepRecord:
    while True:
        await x.gate()
        step = x.open[record.key] = OpenStep(record, [], log_step(x, "step_started", record))
        try:
            if plan.effect == "unsafe":
                await _declare_intent(x)
            try:
                attempt, text = await _attempt(x, step, plan, execute)
            except Exception as error:
                if x.sealed:
                    raise Sealed from error
                record = await _after_failure(x, step, plan, error)
                if record.is_done:
                    return record
                continue
            return await _record_success(x, step, attempt, text)
        finally:
            if x.open.get(record.key) is step and not x.sealed:
                del x.open[record.key]


async def _declare_intent(x: Execution) -> None:
    """Commit the start of an unsafe step before it acts, and act only while the lease surely holds."""
    answer = await x.commit()
    if answer.wanted == "cancel":
        raise Sealed
    if x.host.lease_left() < UNSAFE_MARGIN:
        raise NoEffect("The worker's lease was about to run out.")


async def _attempt(x: Execution, step: OpenStep, plan: Plan, execute: Executor) -> tuple[Attempt, str]:
    record = step.record
    loop = asyncio.get_running_loop()

    def stream(text: str) -> None:
        step.streamed.append(text)
        x.host.ports.partials.append(x.id, record.key, record.attempt, text)

    attempt = Attempt(
        key=record.key,
        number=record.attempt,
        idempotency_key=f"{x.id}:{record.key}",
        deadline=None if plan.timeout is None else loop.time() + plan.timeout,
        stream=stream,
    )
    step.deadline = attempt.deadline
    if plan.timeout is None:
        return attempt, encode(await execute(attempt))
    try:
        async with asyncio.timeout_at(attempt.deadline) as limit:
            return attempt, encode(await execute(attempt))
    except TimeoutError as error:
        if limit.expired():
            raise StepTimeout("StepTimeout", f"not done within {plan.timeout:g} s", record.key) from error
        raise


async def _record_success(x: Execution, step: OpenStep, attempt: Attempt, text: str) -> StepRecord:
    if x.sealed:
        raise Sealed
    usage = attempt.usage or Usage()
    _unlog_start(x, step)
    record = finish_step(
        x,
        step.record,
        text,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_microusd=usage.cost_microusd,
    )
    change = x.change()
    if step.streamed:
        change.streamed.append(record.key)
    if attempt.artifact is not None:
        change.artifacts.append(attempt.artifact)
        x.log(
            "artifact_saved", {"id": attempt.artifact.id, "name": attempt.artifact.name, "size": attempt.artifact.size}
        )
    try:
        await x.commit()
    except Unwritable as error:
        record = fail_step(x, step.record, {"type": "NotEncodable", "message": f"The database refused it: {error}"})
        await x.commit()
    return record


def _unlog_start(x: Execution, step: OpenStep) -> None:
    """Leave the start out of the log if it was not written yet: the end says it all."""
    events = x.change().events
    for index in range(len(events) - 1, -1, -1):
        if events[index] is step.started:
            del events[index]
            return


async def _after_failure(x: Execution, step: OpenStep, plan: Plan, error: Exception) -> StepRecord:
    """Record a failed attempt; give the failed step, or the record of the next attempt once its time has come."""
    record = step.record
    x.open.pop(record.key, None)
    described = _describe(error)
    if plan.effect == "unsafe" and not isinstance(error, NoEffect):
        return await _ask_for_outcome(x, record, plan, described)
    failures = _failures(record) + 1
    pause = None
    if not isinstance(error, (Permanent, NotEncodable)):
        retry_after = error.retry_after if isinstance(error, Retryable) else None
        pause = plan.retry.pause_after(failures, Random(f"{x.id}{record.key}{failures}"), retry_after)  # noqa: S311 (jitter)
    if step.streamed:
        x.change().streamed.append(record.key)
    if pause is None:
        _unlog_start(x, step)
        failed = fail_step(x, record, described | {"attempts": record.attempt})
        await x.commit()
        return failed
    due = x.stamp() + timedelta(seconds=pause)
    entry = {**described, "number": record.attempt, "at": x.stamp(), "retry_at": due}
    record = update_step(x, record, status="retrying", attempts=_with_entry(record, entry))
    log_step(x, "step_retrying", record, error=described, delay=round(pause, 3))
    if pause > x.host.short_pause:
        await x.commit()
    await x.wait_until(record.key, due, "retry")
    return _next_attempt(x, record)


def _next_attempt(x: Execution, record: StepRecord) -> StepRecord:
    return update_step(x, record, status="running", attempt=record.attempt + 1)


def _note_interruption(x: Execution, record: StepRecord) -> StepRecord:
    """An earlier attempt has a start and no end: a crash or a stop ended it."""
    entry = {"type": "Interrupted", "message": "The worker went away.", "number": record.attempt, "at": x.stamp()}
    log_step(x, "step_interrupted", record)
    x.change().streamed.append(record.key)
    return update_step(
        x, record, status="running", attempt=record.attempt + 1, attempts=_with_entry(record, entry), finished_at=None
    )


async def _ask_for_outcome(
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
    if error is None:
        settled = record.started_at + timedelta(seconds=x.host.lease_seconds + (plan.timeout or 0.0))
        await x.wait_until(record.key, settled, "settle")
    data = {"key": record.key, "name": record.name, "input": decode(record.input), "error": decode(record.error)}
    wait = WaitRecord("unknown", key=decision_name(record.key), name=record.key[:200], data=encode(data))
    message = await x.message(decision_name(record.key), wait)
    x.change().consumed.append(message.id)
    decision = decode(message.data)
    match decision["choice"]:
        case "done":
            record = finish_step(x, record, encode(decision.get("outcome")))
            await x.commit()
            return record
        case "retry":
            entry = {**(decode(record.error) or {}), "number": record.attempt, "at": x.stamp()}
            return update_step(
                x,
                record,
                status="running",
                attempt=record.attempt + 1,
                attempts=_with_entry(record, entry),
                error=None,
                finished_at=None,
            )
        case _:
            failure = {"type": "OutcomeUnknown", "message": "A person gave up on this step; its outcome is unknown."}
            record = fail_step(x, record, failure)
            await x.commit()
            return record


async def reconsider(x: Execution, key: str, plan: Plan, record: StepRecord) -> StepRecord:
    """The code now asks for something else than what is recorded under this key: a person decides."""
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
        x.run_again_from(record)
        raise Sealed
    failure = {"type": "WorkflowChanged", "message": "The workflow changed at this step and a person gave up on it."}
    record = fail_step(x, record, failure)
    await x.commit()
    return record


def decision_name(key: str) -> str:
    """Give the name of the message in which a person's decision on a step comes."""
    return f"decide:{key}"


def _retry_at(record: StepRecord) -> datetime:
    return datetime.fromisoformat(decode(record.attempts)[-1]["retry_at"])


def _failures(record: StepRecord) -> int:
    """Count the attempts that failed; those that a crash or a stop ended are not the step's fault."""
    return sum(1 for entry in decode(record.attempts) or () if entry["type"] != "Interrupted")


def _with_entry(record: StepRecord, entry: dict[str, JSON]) -> str:
    return encode([*(decode(record.attempts) or ()), entry])


def _describe(error: Exception) -> dict[str, JSON]:
    match error:
        case StepFailed():
            return {"type": error.type, "message": error.message}
        case Permanent():
            name = error.type
        case _:
            name = type(error).__name__
    return {"type": name, "message": clean_text(str(error))[:MAX_ERROR] or name}
