"""Events and runs: waiting for one, telling of one.

An event is kept when it comes, whoever waits for it. A run that begins to wait is registered first, with the start of
its step, and once that is committed looks back over what came since it was created: so neither an event between two
steps nor one at that very moment is missed. It comes as a message; each event is handed to a run once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agents.engine.canonical import JSON, decode, digest, encode
from agents.engine.deciding import reconsider
from agents.engine.errors import Permanent, Sealed
from agents.engine.event_names import fault_of_foreign_name, fault_of_pattern
from agents.engine.happening_records import EmittedRecord, Happening, Listening, told_name
from agents.engine.plans import Plan
from agents.engine.recording import finish_step, log_step, outcome_of, record_step
from agents.engine.records import MessageRecord, StepRecord, WaitRecord
from agents.engine.schemas import schema_fault
from agents.matching import problems

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

MAX_DATA = 500_000
MAX_WAIT_NAME = 200


async def wait_event(
    x: Execution,
    scope: Scope,
    pattern: str,
    match: Mapping[str, Any] | None,
    timeout: float | None,
    form: Mapping[str, Any] | None = None,
) -> Happening | None:
    """Give the first event that fits; None if none came in time. `form` is the schema of what a signal says."""
    wrong = fault_of_pattern(pattern) or " ".join(problems(match) if match is not None else ())
    if wrong := wrong or (schema_fault(form) if form is not None else ""):
        raise Permanent(wrong, "BadEvent")
    key = scope.next_key(f"wait_event:{pattern}")
    plan = Plan("wait_event", pattern, pattern, digest([pattern, match]))
    record = x.steps.get(key)
    if record is not None and record.digest != plan.digest:
        record = await reconsider(x, key, plan, record)
    if record is None:
        await x.gate()
        due = None if timeout is None else x.host.clock.now() + timedelta(seconds=timeout)
        asked = {"name": pattern, "match": match, "until": due} | ({"form": form} if form is not None else {})
        record = record_step(x, key, Plan(plan.kind, plan.name, plan.title, plan.digest, lambda: asked))
        log_step(x, "step_started", record)
    if not record.is_done:
        record = await _take(x, record, Listening(x.claimed.workspace_id, x.id, key, pattern, match))
    scope.saw(record.finished_at)
    told = await outcome_of(x, record)
    return None if told is None else Happening.from_json(told)


async def emit_event(x: Execution, scope: Scope, name: str, data: JSON) -> None:
    """Tell of an event, once: it is written with the step that says so."""
    text = encode(data)
    wrong = fault_of_foreign_name(name)
    if len(text) > MAX_DATA:
        wrong = f"The data has {len(text):,} characters; at most {MAX_DATA:,} are taken."
    if wrong:
        raise Permanent(wrong, "BadEvent")
    key = scope.next_key(f"emit_event:{name}")
    plan = Plan("emit_event", name, name, digest([name, data]))
    record = x.steps.get(key)
    if record is not None and record.digest != plan.digest:
        record = await reconsider(x, key, plan, record)
    if record is None:
        await x.gate()
        record = record_step(x, key, Plan(plan.kind, plan.name, plan.title, plan.digest, lambda: data))
        x.change().emitted.append(EmittedRecord(name, text, _source(x), record.started_at, x.is_tainted))
        record = finish_step(x, record, "null")
        await x.commit()
    scope.saw(record.finished_at)


async def _take(x: Execution, record: StepRecord, wanted: Listening) -> StepRecord:
    """Wait for the event, and record it with the step."""
    until = decode(record.input)["until"]
    message = await _told(x, wanted, None if until is None else datetime.fromisoformat(until))
    record = x.steps[wanted.key]
    if message is None:
        record = finish_step(x, record, "null")
    else:
        x.change().consumed.append(message.id)
        if decode(message.data).get("tainted"):
            x.taint(wanted.key)
        record = finish_step(x, record, message.data or "null")
    await x.commit()
    return record


async def _told(x: Execution, wanted: Listening, until: datetime | None) -> MessageRecord | None:
    name = told_name(wanted.key)
    if (early := x.waiting.early(name)) is not None:
        return early
    x.change().listens.append(wanted)
    await x.commit()
    if await x.host.look_back(wanted):
        # What came before the wait lies in the inbox now.
        x.look_again()
    wait = WaitRecord("event", key=name, name=wanted.pattern[:MAX_WAIT_NAME], due_at=until)
    if x.sealed:
        raise Sealed
    message = await x.waiting.message_until(name, wait)
    if message is None:
        x.change().deaf.append(wanted.key)
        await x.commit()
        # From here on nobody hands it an event; one of the last moment has counted as a wake.
        if x.known_wakes > x.seen_wakes:
            await x.read_inbox()
        message = x.waiting.early(name)
    return message


def _source(x: Execution) -> str:
    """Say who tells of an event."""
    return f"agent:{x.agent.name}" if x.agent is not None else f"workflow:{x.claimed.workflow}"
