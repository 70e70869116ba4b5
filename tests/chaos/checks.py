"""What must hold for every run when the chaos is over, said apart from the code that ought to bring it about.

Each check takes the trace of a run and gives what is wrong with it, in words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agents.engine.records import ON_CANCEL
from agents.models import ENDED, RunStatus, StepStatus
from tests.chaos.disruptions import Stop
from tests.chaos.ledger import Known
from tests.chaos.outside import Effect
from tests.chaos.plans import agrees, name_in
from tests.chaos.traces import Trace

AFTER_CANCEL = 5.0
"""Seconds after an accepted cancel in which a safe step may still start: the promised second, and four for a machine
that is busy with other things."""
RECOVERY = 6.0
"""Seconds in which everybody has noticed that the database, or a process that was stopped, is back."""
MAX_CRASHES = 3
DROPPED = ("race#", "timeout#")
"""Scopes whose branches may be dropped half-way."""
EXPECTED_FAILURES = ("Permanent", "OutcomeUnknown", "Cancelled", "Poison")


@dataclass(frozen=True)
class Circumstances:
    """When the database or a process was held up, so that what depends on the time can't be judged."""

    held_up: Sequence[tuple[float, float]]
    stops: Sequence[Stop]

    def excuse(self, began: float, ended: float, pid: int) -> bool:
        """Whether something held up the database, or this process, between two times."""
        held_up = any(start < ended and end > began - RECOVERY for start, end in self.held_up)
        return held_up or any(s.began < ended and s.ended > began - RECOVERY and pid in s.pids for s in self.stops)


def check(trace: Trace, circumstances: Circumstances) -> Iterator[str]:
    """Give all that is wrong with a run."""
    for rule in RULES:
        yield from rule(trace)
    yield from nothing_starts_after_a_cancel(trace, circumstances)


def has_ended(trace: Trace) -> Iterator[str]:
    run = trace.run
    if run.status not in ENDED:
        yield f"has not ended: {run.status} ({run.reason})"
    for event in trace.of_kind("run_failed"):
        error = event.data["error"]
        if error["type"] not in EXPECTED_FAILURES:
            yield f"failed with {error['type']}: {error['message']}"
        is_of_sub_run = name_in(error.get("step", "")).startswith("call:")
        if error["type"] == "Poison" and not is_of_sub_run and not _is_poison(trace):
            yield f"was called poison after fewer than {MAX_CRASHES} crashes alone"


def ended_as_it_must(trace: Trace) -> Iterator[str]:
    run, known = trace.run, trace.known
    if run.status == RunStatus.SUCCEEDED:
        is_right = agrees(trace.plan, run.output) if trace.plan is not None else run.output == "undo"
        if not is_right:
            yield f"gave a result that its plan can't have: {run.output}"
    if known is None or known.order is None:
        return
    if run.status == RunStatus.CANCELLED and (not known.cancelled_at or known.order.steering.retry_cancelled):
        yield "ended as cancelled although it was not cancelled, or was retried since"
    if run.status == RunStatus.FAILED and not _is_poison(trace):
        yield f"failed again after {len(known.retried_at)} retries: {run.error}"


def events_have_no_gaps(trace: Trace) -> Iterator[str]:
    numbers = [event.number for event in trace.events]
    if numbers != list(range(1, len(numbers) + 1)) or trace.run.last_event != len(numbers):
        yield f"its events are numbered {numbers}, the last one should be {trace.run.last_event}"
    epochs = [event.data["epoch"] for event in trace.of_kind("run_started")]
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        yield f"its leases went back: {epochs}"


def is_recorded_once(trace: Trace) -> Iterator[str]:
    standing = Counter(step.key for step in trace.steps if not step.superseded)
    for key, count in standing.items():
        if count > 1:
            yield f"{key} is recorded {count} times"
    rows = Counter(step.key for step in trace.steps if step.status == StepStatus.SUCCEEDED and step.kind != "emit")
    told = Counter(event.data["key"] for event in trace.of_kind("step_finished"))
    if rows != told:
        yield f"the log tells of other outcomes than are recorded: {_difference(rows, told)}"
    if trace.run.steps_done != sum(rows.values()):
        yield f"counts {trace.run.steps_done} steps, {sum(rows.values())} are recorded"


def nothing_is_left_open(trace: Trace) -> Iterator[str]:
    if trace.run.status != RunStatus.SUCCEEDED:
        return
    for step in trace.steps:
        is_open = step.status not in (StepStatus.SUCCEEDED, StepStatus.FAILED)
        if is_open and not step.superseded and not _may_be_dropped(step.key):
            yield f"ended with the step {step.key} {step.status}"
    known = {step.key for step in trace.steps}
    for key in {effect.key for effect in trace.effects} - known:
        if not _may_be_dropped(key):
            yield f"{key} was executed and left no record"


def steps_fail_as_planned(trace: Trace) -> Iterator[str]:
    for step in trace.steps:
        if step.status != StepStatus.FAILED or step.kind == "call":
            continue
        error = step.error if isinstance(step.error, dict) else {}
        is_given_up = step.effect == "unsafe" and error.get("type") == "OutcomeUnknown"
        if not is_given_up and not step.name.startswith(("broken-", "mended-")):
            yield f"{step.key} failed, which was not planned: {error}"


def recorded_is_not_repeated(trace: Trace) -> Iterator[str]:
    """Each execution has an epoch and attempt of its own, and none is newer than the record of its step."""
    seen = Counter((effect.key, effect.epoch, effect.attempt) for effect in trace.effects)
    for (key, epoch, attempt), count in seen.items():
        if count > 1:
            yield f"{key} was executed {count} times in epoch {epoch} as attempt {attempt}"
    recorded = defaultdict(list)
    for record in trace.recorded():
        recorded[record.key].append(record)
    for effect in trace.effects:
        for record in recorded[effect.key]:
            is_later = record.epoch < effect.epoch <= record.until
            if is_later or (effect.epoch == record.epoch and effect.attempt > record.attempt):
                yield f"{effect.key} was recorded in epoch {record.epoch} and executed again: {effect}"


def unsafe_is_done_once(trace: Trace) -> Iterator[str]:
    """An unsafe step declares each attempt before it acts, and acts again only on a person's word."""
    started = {(event.data["key"], event.data["attempt"]) for event in trace.of_kind("step_started")}
    for key, effects in _unsafe(trace).items():
        undeclared = [effect for effect in effects if (key, effect.attempt) not in started]
        if undeclared:
            yield f"{key} acted without having declared it: {undeclared}"
        words = sorted([*(trace.known.retry_choices.get(key, ()) if trace.known else ()), *_retries_of(trace, key)])
        for i, effect in enumerate(effects):
            if i > sum(word < effect.at for word in words):
                yield f"{key} acted again and nobody had said so: {effects}, decisions at {words}"
        done = [step for step in trace.steps if step.key == key and step.status == StepStatus.SUCCEEDED]
        # The client says "retry" only of what has not happened, so what has an outcome has happened once.
        if done and len(effects) > len(done):
            yield f"{key} has {len(done)} outcomes and happened {len(effects)} times: {effects}"


def joins_are_whole(trace: Trace) -> Iterator[str]:
    """Each call has one sub-run, whose end was told once and is its outcome."""
    calls = Counter(step.key for step in trace.steps if step.kind == "call")
    started = Counter(child.parent_key for child in trace.children if child.parent_key != ON_CANCEL)
    if calls != started:
        yield f"its calls and its sub-runs differ: {_difference(calls, started)}"
    children = {child.id: child for child in trace.children}
    for child in trace.children:
        if child.status in ENDED and child.id not in trace.told:
            yield f"the end of its sub-run {child.id} was not told"
    for step in trace.steps:
        if step.kind != "call" or not isinstance(step.input, dict):
            continue
        called = children.get(step.input["run"])
        if called is None or called.parent_key != step.key:
            yield f"{step.key} has not started the sub-run that it names"
        elif step.status == StepStatus.SUCCEEDED and (called.status, called.output) != ("succeeded", step.outcome):
            yield f"{step.key} has another outcome than its sub-run {called.id}"
        elif step.status == StepStatus.FAILED and called.status == RunStatus.SUCCEEDED:
            yield f"{step.key} failed, its sub-run {called.id} succeeded"


def is_made_good_once(trace: Trace) -> Iterator[str]:
    handlers = [child for child in trace.children if child.parent_key == ON_CANCEL]
    cancels = len(trace.of_kind("run_cancelled")) if trace.run.workflow == "chaos-undone" else 0
    if len(handlers) != cancels:
        yield f"was cancelled {cancels} times and made good for {len(handlers)} times"
    for handler in handlers:
        if handler.status != RunStatus.SUCCEEDED:
            yield f"the handler of its cancel {handler.id} has {handler.status}"


def nothing_starts_after_a_cancel(trace: Trace, circumstances: Circumstances) -> Iterator[str]:
    root = trace.root
    if root is None or trace.run.workflow.endswith(f".{ON_CANCEL}"):
        return
    for cancelled, retried in _cancels(root):
        late = [effect for effect in trace.effects if cancelled + AFTER_CANCEL < effect.at < retried]
        for effect in late:
            if not circumstances.excuse(cancelled, effect.at, effect.pid):
                yield f"a step started {effect.at - cancelled:.1f} s after its cancel was accepted: {effect}"
        intents = {
            (event.data["key"], event.data["attempt"])
            for event in trace.of_kind("step_started")
            if cancelled < event.at.timestamp() < retried
        }
        for effect in trace.effects:
            if effect.is_unsafe and (effect.key, effect.attempt) in intents and cancelled < effect.at < retried:
                yield f"an unsafe step was declared and acted after the cancel was accepted: {effect}"


def _cancels(root: Known) -> Iterator[tuple[float, float]]:
    """Give from when to when a run was to do nothing."""
    for cancelled in root.cancelled_at:
        yield cancelled, min((at for at in root.retried_at if at > cancelled), default=float("inf"))


def _unsafe(trace: Trace) -> dict[str, list[Effect]]:
    found: dict[str, list[Effect]] = defaultdict(list)
    for effect in trace.effects:
        if effect.is_unsafe:
            found[effect.key].append(effect)
    return found


def _retries_of(trace: Trace, key: str) -> list[float]:
    """Give when a retry of the run set this step aside."""
    return [event.at.timestamp() for event in trace.of_kind("run_retried") if key in event.data["superseded"]]


def _is_poison(trace: Trace) -> bool:
    return sum(bool(event.data["alone"]) for event in trace.of_kind("worker_died")) >= MAX_CRASHES


def _may_be_dropped(key: str) -> bool:
    return any(part.startswith(DROPPED) for part in key.split("/"))


def _difference(ours: Counter[str], theirs: Counter[str]) -> dict[str, tuple[int, int]]:
    return {key: (ours[key], theirs[key]) for key in ours.keys() | theirs.keys() if ours[key] != theirs[key]}


RULES: tuple[Callable[[Trace], Iterator[str]], ...] = (
    has_ended,
    ended_as_it_must,
    events_have_no_gaps,
    is_recorded_once,
    nothing_is_left_open,
    steps_fail_as_planned,
    recorded_is_not_repeated,
    unsafe_is_done_once,
    joins_are_whole,
    is_made_good_once,
)
