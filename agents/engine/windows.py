"""Many sub-runs of one kind, in windows: a step for each window, not for each sub-run.

What the parent holds does not grow with their number. A window's sub-runs are queued in one batch; the parent is woken
when the last of them has ended, notes which have failed, and goes on. Their outputs stay with them, and are read there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON, decode, digest, encode
from agents.engine.deciding import reconsider
from agents.engine.plans import Plan
from agents.engine.recording import finish_step, log_step, outcome_of, record_step
from agents.engine.records import StepRecord, Target, WaitRecord
from agents.engine.subruns import child_of, reserve, settle

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

WIDTH = 200
"""Sub-runs of a window, unless the workflow says otherwise."""
MOST = 1_000
CALL = "call"
MAX_TOLD = 300
"""Characters of a failure's message that are kept with the window."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A sub-run that failed: the number of its input, and why."""

    number: int
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Window:
    """What became of some sub-runs. `numbers` are those of their inputs, counted from 0."""

    numbers: tuple[int, ...]
    failed: tuple[Failed, ...]

    @property
    def succeeded(self) -> int:
        return len(self.numbers) - len(self.failed)


async def each(
    x: Execution, scope: Scope, target: str, inputs: Sequence[JSON], numbers: Sequence[int], width: int
) -> AsyncIterator[Window]:
    """Run a target on inputs, so many at once; give each window when its last sub-run has ended.

    `numbers` are those that the inputs have for the caller: the key of a sub-run is `each:<target>#…/<number>/call`.
    """
    if not 1 <= width <= MOST:
        raise ValueError(f"A window has 1 to {MOST} sub-runs.")
    base = scope.next_key(f"each:{target}")
    for turn, first in enumerate(range(0, len(inputs), width)):
        part = slice(first, first + width)
        key = f"{base}/window#{turn}"
        record = await _started(x, key, base, target, inputs[part], numbers[part])
        if not record.is_done:
            record = await _ended(x, record, base, target, numbers[part])
        scope.saw(record.finished_at)
        outcome = await outcome_of(x, record)
        yield Window(tuple(numbers[part]), tuple(Failed(*one) for one in outcome["failed"]))


def sub_run_key(base: str, number: int) -> str:
    """Give the key of a sub-run, as of a call in a branch of its own; keys sort as their numbers do."""
    return f"{base}/{number:06d}/{CALL}"


def number_of(key: str) -> int:
    """Give the number that the key of a sub-run has."""
    return int(key.rsplit("/", 2)[1])


def id_of(window: UUID, place: int) -> UUID:
    """Give the id of a window's sub-run: as the window's own it begins with the time, and ends with its place."""
    return UUID(int=(window.int >> 20 << 20) | place)


def runs_of(record: StepRecord) -> list[UUID]:
    """Give the ids of the sub-runs that a step has started: of a call one, of a window all."""
    started = decode(record.input)
    return [UUID(started["run"])] if record.kind == "call" else window_runs(started)


def window_runs(input: Mapping[str, Any]) -> list[UUID]:
    """Give the ids of a window's sub-runs by the input of its step; none if no cap let it begin."""
    return [id_of(UUID(input["runs"]), place) for place in range(input["count"])] if "runs" in input else []


async def _started(
    x: Execution, key: str, base: str, target: str, inputs: Sequence[JSON], numbers: Sequence[int]
) -> StepRecord:
    """Queue the sub-runs of a window, or give the record of when that was done."""
    plan = Plan("each", f"each:{target}", target, digest([target, list(inputs)]))
    record = x.steps.get(key)
    if record is not None:
        return record if record.digest == plan.digest else await reconsider(x, key, plan, record)
    await x.gate()
    plan.input = lambda: {"numbers": [numbers[0], numbers[-1]], "count": len(inputs)}
    await reserve(x, key, plan, len(inputs))
    resolved: Target = await x.host.resolve_target(x.claimed.workspace_id, target)
    await x.gate()
    window = uuid7()
    plan.input = lambda: {"runs": window, "numbers": [numbers[0], numbers[-1]], "count": len(inputs)}
    record = record_step(x, key, plan)
    log_step(x, "step_started", record, sub_runs=len(inputs))
    x.change().children.extend(
        child_of(x, id_of(window, place), resolved, sub_run_key(base, number), input, None, record.started_at)
        for place, (number, input) in enumerate(zip(numbers, inputs, strict=True))
    )
    await settle(x, key)
    return record


async def _ended(x: Execution, record: StepRecord, base: str, target: str, numbers: Sequence[int]) -> StepRecord:
    """Wait for the last sub-run of a window, and record what became of all."""
    window = UUID(decode(record.input)["runs"])
    tokens = {sub_run_key(base, number): str(id_of(window, place)) for place, number in enumerate(numbers)}
    messages = await x.messages(base, tokens, WaitRecord("child", key=f"{base}/", name=target))
    failed = []
    for message in messages:
        x.change().consumed.append(message.id)
        if tokens[message.name] != message.token:
            continue  # The end of a sub-run that was set aside by a retry.
        end = decode(message.data)
        if end.get("tainted") and not x.is_tainted:
            x.taint(record.key)
        if end["status"] != "succeeded":
            failed.append(_failure(number_of(message.name), end))
    record = finish_step(x, record, encode({"count": len(numbers), "failed": sorted(failed)}))
    await x.commit()
    return record


def _failure(number: int, end: Mapping[str, Any]) -> list[JSON]:
    error = end["error"] or {"type": "Cancelled", "message": "The sub-run was cancelled."}
    return [number, error["type"], str(error["message"])[:MAX_TOLD]]
