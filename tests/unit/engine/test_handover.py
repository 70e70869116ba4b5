"""A tool call in a process of its own, as its run sees it: handed over once, told of once, whatever comes between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from agents.engine import Context, Retry, StepFailed, call_outcomes
from agents.engine.call_records import CallRecord, CallsChange
from agents.engine.canonical import decode
from agents.engine.errors import NoEffect, Permanent, Retryable, StepTimeout
from agents.engine.handover import message_name
from agents.engine.journal.memory import MemoryStore
from agents.engine.messages import ToolResult
from agents.engine.ports import CallInfo, Effect, ToolSpec
from agents.engine.records import Change, Ending, Park
from agents.testing import ScriptedTools, TestRun, WorkflowTest

KEY = "tool:grind#0"
TWICE = Retry(max_attempts=2, first=0.5, jitter=0.0)
DONE = call_outcomes.of_result(ToolResult("tool", "ground", name="grind", data={"n": 1}), None)


async def never(arguments: Any, info: CallInfo) -> ToolResult:
    raise AssertionError("called in the worker")


async def flow(ctx: Context, input: Any) -> Any:
    try:
        return (await ctx.tool("grind", corn=3)).text
    except StepFailed as failure:
        return [failure.type, failure.message]


async def hasty(ctx: Context, input: Any) -> Any:
    async def idle() -> str:
        return "idle"

    return await ctx.race(ctx.tool("grind", corn=3), idle())


class WatchedStore(MemoryStore):
    """Notes with which endings calls were written."""

    def __init__(self) -> None:
        super().__init__()
        self.endings: list[Ending | None] = []

    def write_calls(self, changes: Sequence[tuple[Change, CallsChange]], now: datetime) -> None:
        self.endings += [change.ending for change, calls in changes if calls.new]
        super().write_calls(changes, now)


class Mill(WorkflowTest):
    """An engine whose one tool has a process of its own, and a run of it."""

    def __init__(self, effect: Effect = "none") -> None:
        tools = ScriptedTools(grind=never)
        tools.effects["grind"] = ToolSpec(
            "grind", "grind", {}, effect=effect, timeout=30.0, retry=TWICE, isolation="process", memory=64
        )
        super().__init__(tools=tools)
        self.store: WatchedStore = WatchedStore()
        self.ports.processes = lambda token, seconds: f"{token} {seconds}"
        self.first = self.run(flow)
        self.id = self.first.memory.row.id

    @property
    def call(self) -> CallRecord:
        (call,) = self.store.calls.values()
        return call

    def end(self, told: Any, token: UUID | None = None) -> TestRun:
        """Say what came of the call, and let the run go on."""
        self.store.calls.pop(self.call.id)
        return self.say(told, token)

    def say(self, told: Any, token: UUID | None = None) -> TestRun:
        self.tell(self.id, message_name(KEY), told, token=str(token))
        return self.resume(self.id)


def test_it_is_handed_over_with_the_park_and_answered_by_its_token() -> None:
    mill = Mill()
    assert (mill.first.status, mill.first.reason) == ("waiting", "waiting for a process of its own: grind")
    call = mill.call
    assert (call.key, call.tool, call.timeout, call.memory, call.attempt) == (KEY, "grind", 30.0, 64, 1)
    assert call.message == f"{call.id} 30.0"
    # Its start, its row and the park are one batch: there is no moment at which only some of them stand.
    (ending,) = mill.store.endings
    assert isinstance(ending, Park)
    # Who comes back meanwhile waits on, and hands nothing over again.
    mill.tell(mill.id, "something:else", None)
    mill.store.runs[mill.id].row.status = "queued"
    assert mill.resume(mill.id).status == "waiting"
    assert mill.call == call
    # A word of another attempt is no word of this one.
    stale = call_outcomes.of_result(ToolResult("tool", "stale"), None)
    assert mill.say(stale, UUID(int=9)).status == "waiting"
    run = mill.end(DONE, call.id)
    assert (run.status, run.output, run.steps[KEY].attempt) == ("succeeded", "ground", 1)
    assert run.events.count("step_started") == 1
    assert decode(run.steps[KEY].outcome)["data"] == {"n": 1}
    assert mill.store.runs[mill.id].messages.keys() == {1}, "the other message is nobody's"


@pytest.mark.parametrize(
    ("told", "ended", "attempts"),
    [
        (call_outcomes.died("ProcessDied", "killed"), ["ProcessDied", "killed"], 2),
        (call_outcomes.timed_out("too long"), ["StepTimeout", "too long"], 2),
        (call_outcomes.of_error(Retryable("later", 7.0)), ["Retryable", "later"], 2),
        (call_outcomes.of_error(ValueError("odd")), ["ValueError", "odd"], 2),
        (call_outcomes.of_error(StepTimeout("StepTimeout", "slow", KEY)), ["StepTimeout", "slow"], 2),
        (call_outcomes.of_error(Permanent("no", "BadResult")), ["BadResult", "no"], 1),
        (
            call_outcomes.out_of_memory(64),
            ["OutOfMemory", "It needed more than the 64 MB of memory that it may have."],
            1,
        ),
    ],
)
def test_a_failure_is_tried_again_as_declared(told: Any, ended: Any, attempts: int) -> None:
    mill = Mill()
    tokens = []
    run = mill.first
    while run.status == "waiting":
        tokens.append(mill.call.id)
        run = mill.end(told, mill.call.id)
    assert (run.output, len(set(tokens))) == (ended, attempts)


def test_what_the_machine_ended_uses_up_no_attempt() -> None:
    mill = Mill()
    for _ in range(5):
        run = mill.end(call_outcomes.interrupted("stopped"), mill.call.id)
        assert run.status == "waiting"
    assert mill.call.attempt == 6
    assert mill.end(DONE, mill.call.id).output == "ground"


def test_a_call_that_nobody_knows_of_is_made_anew() -> None:
    mill = Mill()
    lost = mill.call.id
    mill.store.calls.clear()
    mill.tell(mill.id, "something:else", None)
    mill.store.runs[mill.id].row.status = "queued"
    assert mill.resume(mill.id).status == "waiting"
    assert (mill.call.attempt, mill.call.id != lost) == (2, True)


def test_what_has_an_effect_is_repeated_only_if_surely_nothing_was_done() -> None:
    mill = Mill("unsafe")
    run = mill.end(call_outcomes.of_error(NoEffect("not yet")), mill.call.id)
    assert (run.status, mill.call.attempt) == ("waiting", 2)
    run = mill.end(call_outcomes.died("ProcessDied", "killed"), mill.call.id)
    assert (run.steps[KEY].status, run.reason) == ("unknown", f"outcome of {KEY} unknown: done, retry or give up?")
    mill.tell(mill.id, f"decide:{KEY}", {"choice": "retry"})
    assert mill.resume(mill.id).status == "waiting"
    assert mill.call.attempt == 3


def test_nobody_is_asked_while_it_may_still_be_acting() -> None:
    mill = Mill("unsafe")
    settled = mill.clock.now().replace(year=2099)
    before = mill.clock.now()
    run = mill.end(call_outcomes.died("WorkerDied", "silent", settled), mill.call.id)
    # The test's clock goes to the next timer by itself.
    assert before < settled <= mill.clock.now()
    assert run.steps[KEY].status == "unknown"


def test_a_branch_that_lost_a_race_ends_its_process() -> None:
    mill = Mill()
    mill.store.calls.clear()
    run = mill.run(hasty)
    assert (run.status, run.output[0]) == ("succeeded", 1)
    assert mill.store.calls == {}
    assert run.steps["race#0/0/tool:grind#0"].status == "interrupted"


def test_a_run_that_is_cancelled_hands_nothing_over() -> None:
    mill = Mill()
    waiting = mill.call.id
    row = mill.store.runs[mill.id].row
    row.status, row.wanted, row.wakes = "queued", "cancel", row.wakes + 1
    run = mill.resume(mill.id)
    assert (run.status, run.steps[KEY].status) == ("cancelled", "interrupted")
    assert waiting not in mill.store.calls
