"""The states of a step, each put into the change that is gathering for its run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import zstandard
from uuid_utils.compat import uuid7

from agents.engine.call_records import calls_of
from agents.engine.canonical import JSON, clean_text, decode, encode
from agents.engine.errors import StepFailed, StepTimeout
from agents.engine.plans import Plan
from agents.engine.records import EventRecord, LargeRecord, StepRecord

if TYPE_CHECKING:
    from agents.engine.execution import Execution

MICROSECOND = timedelta(microseconds=1)
MAX_INLINE = 256 * 1024
"""Outcomes of more bytes go compressed into a table of their own."""
compress = zstandard.ZstdCompressor(level=3).compress
_decompress = zstandard.ZstdDecompressor().decompress


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
    return put_step(x, new_step(x, key, plan, **values))


def put_step(x: Execution, record: StepRecord) -> StepRecord:
    """Put a step's state into the change that is gathering."""
    record.is_put = True
    x.steps[record.key] = x.change().steps[record.key] = record
    return record


def new_step(x: Execution, key: str, plan: Plan, **values: Any) -> StepRecord:
    """Make a new step's record, to be put into a change later."""
    recorded_input = plan.input()
    record = x.steps[key] = StepRecord(
        key=key,
        kind=plan.kind,
        name=clean_text(plan.title)[:100],
        started_at=x.stamp(),
        label=clean_text(plan.label)[:12],
        effect=plan.effect,
        digest=plan.digest,
        input=None if recorded_input is None else encode(recorded_input),
        **values,
    )
    return record


def update_step(x: Execution, record: StepRecord, **changes: Any) -> StepRecord:
    """Put a step's next state into the change that is gathering."""
    return put_step(x, record.follow(**changes))


def finish_step(x: Execution, record: StepRecord, text: str, **changes: Any) -> StepRecord:
    """Put a step's outcome, a JSON text, into the change that is gathering."""
    if len(text) > MAX_INLINE:
        large = LargeRecord(uuid7(), compress(text.encode()))
        x.change().larges.append(large)
        changes["large"] = large.id
    else:
        changes["outcome"] = text
    new = update_step(x, record, status="succeeded", finished_at=x.stamp(), error=None, **changes)
    log_step(x, "step_finished", new, at=new.finished_at)
    return new


def fail_step(x: Execution, record: StepRecord, error: JSON, **changes: Any) -> StepRecord:
    """Put a step's failure into the change that is gathering; it has no outcome."""
    nothing = {"outcome": None, "large": None}
    new = update_step(x, record, status="failed", finished_at=x.stamp(), error=encode(error), **nothing, **changes)
    log_step(x, "step_failed", new, at=new.finished_at, error=error)
    return new


def log_step(x: Execution, kind: str, record: StepRecord, *, at: datetime | None = None, **more: JSON) -> EventRecord:
    """Log what happened to a step, now or at a time that was stamped before."""
    data: dict[str, JSON] = {
        "key": record.key,
        "kind": record.kind,
        "name": record.name,
        "label": record.label,
        "attempt": record.attempt,
    }
    if record.finished_at is not None:
        data["started_at"] = record.started_at
        data["ms"] = (record.finished_at - record.started_at) // MICROSECOND / 1000
        if record.input_tokens or record.output_tokens:
            data["tokens"] = record.input_tokens + record.output_tokens
            data["cost_microusd"] = record.cost_microusd
    if more:
        data |= more
    return x.log(kind, data, at)


def with_entry(record: StepRecord, entry: dict[str, JSON]) -> str:
    """Give the JSON text of the step's earlier attempts with one more."""
    return encode([*(decode(record.attempts) or ()), entry])


def close_step(x: Execution, key: str, why: str) -> None:
    """Record that a step was interrupted of which nobody will ask for the outcome; its process, if any, is ended."""
    step = x.open.pop(key, None)
    known = x.steps[key] if step is None else step.record
    record = update_step(
        x,
        known,
        status="unknown" if known.effect == "unsafe" else "interrupted",
        finished_at=x.stamp(),
        error=encode({"type": "Abandoned", "message": why}),
    )
    x.change().streamed.append(key)
    drop_call(x, key)
    x.log("step_interrupted", {"key": key, "attempt": record.attempt, "reason": why})


def drop_call(x: Execution, key: str) -> None:
    """Let nobody wait for the process of a step any more: it is ended, and what it still says is not heard."""
    if (token := x.calls.pop(key, None)) is not None:
        calls_of(x.change()).dropped.append(token)
