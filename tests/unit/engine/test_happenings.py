"""Waiting for events and telling of them, in memory: what is recorded, what a replay sees, what wakes a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import BaseModel

from agents.engine import Context
from agents.engine.canonical import decode
from agents.engine.records import Batch, BatchResult
from agents.testing import WorkflowTest


async def waits(ctx: Context, input: Any) -> Any:
    event = await ctx.wait_event("order.paid", {"path": "order", "equals": 17}, timeout=60.0)
    return None if event is None else [event.name, event.data, event.tainted]


def test_a_run_is_woken_by_the_first_event_that_fits() -> None:
    test = WorkflowTest()
    run_id = test.queue(waits)
    test.send_event("order.paid", {"order": 16})
    test.send_event("order.sent", {"order": 17})
    test.send_event("order.paid", {"order": 17, "n": 1})
    test.send_event("order.paid", {"order": 17, "n": 2})

    assert test.resume(run_id).output == ["order.paid", {"order": 17, "n": 1}, False]


def test_one_that_comes_while_it_is_parked_wakes_it() -> None:
    async def twice(ctx: Context, input: Any) -> Any:
        first = await ctx.wait_event("go.*")
        second = await ctx.wait_event("go.*")
        assert first is not None
        assert second is not None
        return [first.name, second.name]

    test = WorkflowTest()
    parked = test.run(twice)
    assert (parked.status, parked.reason) == ("waiting", "waiting: event go.*")

    test.send_event("go.on")
    assert test.resume(parked.memory.row.id).status == "waiting"
    test.send_event("go.home")
    done = test.resume(parked.memory.row.id)

    # Each event is handed to a run once, and what is recorded stays.
    assert done.output == ["go.on", "go.home"]
    assert test.replays == 2


def test_nothing_comes_in_time() -> None:
    test = WorkflowTest()
    began = test.clock.now()
    run = test.run(waits)
    assert (run.status, run.output) == ("succeeded", None)
    assert (test.clock.now() - began).total_seconds() == 60.0
    test.send_event("order.paid", {"order": 17})
    assert not run.memory.messages


def test_an_event_of_the_last_moment_counts_and_is_handed_to_nobody_else() -> None:
    test = WorkflowTest()
    write = test.store.write

    def slow(worker_id: int, batch: Batch, now: datetime) -> BatchResult:
        if any(change.deaf for change in batch.changes):
            test.send_event("order.paid", {"order": 17})
        return write(worker_id, batch, now)

    test.store.write = slow  # type: ignore[method-assign]
    assert test.run(waits).output == ["order.paid", {"order": 17}, False]


def test_what_a_signal_is_to_say_stands_with_the_step_and_may_change() -> None:
    class Answer(BaseModel):
        yes: bool

    forms: list[Any] = [Answer, {"type": "string"}]

    async def asks(ctx: Context, input: Any) -> Any:
        event = await ctx.wait_event("go", form=forms[0])
        return event and event.data

    test = WorkflowTest()
    parked = test.run(asks)
    (step,) = parked.memory.steps.values()
    assert decode(step.input)["form"]["properties"]["yes"]["type"] == "boolean"
    # A changed form is no other wait; an event of another kind than a signal is not held to it.
    forms.pop(0)
    test.send_event("go", 17)
    assert test.resume(parked.memory.row.id).output == 17


def test_branches_wait_for_events_of_their_own() -> None:
    async def both(ctx: Context, input: Any) -> Any:
        async def one(name: str) -> Any:
            event = await ctx.wait_event(name)
            return event and event.data

        return await ctx.gather(one("a"), one("a"), one("b"))

    test = WorkflowTest()
    parked = test.run(both)
    for name, data in (("b", 1), ("a", 2), ("a", 3)):
        assert parked.status == "waiting"
        test.send_event(name, data)
        parked = test.resume(parked.memory.row.id)
    assert parked.output == [2, 3, 1]


def test_what_strangers_say_taints_the_run() -> None:
    test = WorkflowTest()
    run_id = test.queue(waits)
    test.send_event("order.paid", {"order": 17}, tainted=True)
    done = test.resume(run_id)
    assert done.output[2] is True
    assert done.memory.tainted == ["wait_event:order.paid#0"]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_crash_emits_nothing_twice(after: int) -> None:
    async def tells(ctx: Context, input: Any) -> Any:
        await ctx.step("before", lambda: 1)
        await ctx.emit_event("done.first", {"n": 1})
        await ctx.step("between", lambda: 2)
        await ctx.emit_event("done.second")
        return "ok"

    test = WorkflowTest()
    assert test.run(tells, crash_after=after).output == "ok"
    assert test.emitted == [("done.first", {"n": 1}), ("done.second", None)]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ctx: ctx.wait_event("a b"), "pattern"),
        (lambda ctx: ctx.wait_event("a", {"path": "x", "regex": "."}), "no comparison"),
        (lambda ctx: ctx.wait_event("a", form={"type": "nonsense"}), "no JSON schema"),
        (lambda ctx: ctx.emit_event("a.*"), "name"),
        (lambda ctx: ctx.emit_event("a", "x" * 500_001), "at most 500,000"),
    ],
)
def test_what_is_no_event_fails_the_run_with_a_clear_reason(call: Any, words: str) -> None:
    async def asks(ctx: Context, input: Any) -> Any:
        return await call(ctx)

    run = WorkflowTest().run(asks)
    assert run.status == "failed"
    assert words in run.error["message"]
