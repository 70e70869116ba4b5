"""Failures, retries and unknown outcomes of steps, live and replayed; on the in-memory journal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agents.engine import Context, NoEffect, Permanent, Retry, Retryable, StepFailed, workflow
from agents.engine.clock import ManualClock
from agents.testing import WorkflowTest
from tests.effects import Effects


def test_retries_with_back_off_outlive_the_process() -> None:
    tries = 0

    async def fragile() -> str:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise ConnectionError("away")
        return "here"

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("fragile", fragile, retry=Retry(max_attempts=5, first=10, factor=2))

    clock = ManualClock()
    began = clock.now()
    run = WorkflowTest(clock=clock).run(flow)
    assert run.output == "here"
    assert (clock.now() - began).total_seconds() >= 10 + 20 + 40
    step = run.steps["fragile#0"]
    assert step.attempt == 4
    assert step.attempts is not None
    assert step.attempts.count("ConnectionError") == 3


def test_retry_after_is_honoured() -> None:
    tries = 0

    async def limited() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise Retryable("too many", retry_after=600)
        return tries

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("limited", limited)

    clock = ManualClock()
    began = clock.now()
    assert WorkflowTest(clock=clock).run(flow).output == 2
    assert (clock.now() - began).total_seconds() >= 600


def test_failures_are_typed_and_the_same_in_a_replay() -> None:
    seen: list[tuple[str, str]] = []

    async def refuse() -> None:
        raise Permanent("no", "Refused")

    async def flow(ctx: Context, input: Any) -> Any:
        try:
            await ctx.step("refuse", refuse)
        except StepFailed as failure:
            seen.append((failure.type, failure.message))
        await ctx.sleep(60)
        await ctx.step("again", refuse)

    run = WorkflowTest().run(flow)
    assert seen == [("Refused", "no")] * 2
    assert run.status == "failed"
    assert run.error == {"type": "Refused", "message": "no", "step": "again#0"}


def test_a_timeout_is_an_attempt_that_failed() -> None:
    async def hang() -> None:
        await asyncio.sleep(30)

    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("hang", hang, timeout=0.01, retry=Retry(max_attempts=2))

    run = WorkflowTest().run(flow)
    assert run.error["type"] == "StepTimeout"
    assert run.steps["hang#0"].attempt == 2


def test_an_unsafe_step_is_never_repeated_without_a_persons_word() -> None:
    effects = Effects()

    async def pay() -> None:
        await effects.do("paid")
        raise ConnectionError("no answer")

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", pay, effect="unsafe")

    for choice, status, count in (("done", "succeeded", 1), ("give_up", "failed", 1), ("retry", "waiting", 2)):
        effects.done.clear()
        test = WorkflowTest()
        run = test.run(flow)
        assert (run.status, run.steps["pay#0"].status) == ("waiting", "unknown")
        run_id = run.memory.row.id
        test.tell(run_id, "decide:pay#0", {"choice": choice, "outcome": "receipt"})
        run = test.resume(run_id)
        assert (run.status, len(effects.done)) == (status, count)
        if choice == "done":
            assert run.output == "receipt"


def test_an_unsafe_step_that_surely_did_nothing_is_tried_again() -> None:
    tries = 0

    async def pay() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NoEffect("refused before it was sent")
        return "paid"

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", pay, effect="unsafe")

    assert WorkflowTest().run(flow).output == "paid"


def test_an_unsafe_step_interrupted_by_a_crash_is_unknown() -> None:
    effects = Effects()

    async def pay() -> str:
        await effects.do("paid")
        await asyncio.sleep(0.05)
        return "never recorded"

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", pay, effect="unsafe", timeout=5)

    test = WorkflowTest()
    run = test.run(flow, crash_when=lambda: bool(effects.done))
    assert run.status == "waiting"
    assert run.reason.startswith("outcome of pay#0 unknown")
    assert effects.done == ["paid"]


def test_a_cancelled_run_is_made_good_by_its_declared_handler() -> None:
    effects = Effects()

    async def refund(ctx: Context, input: Any) -> Any:
        return await ctx.step("refund", effects.do, input["input"])

    @workflow("test.order", on_cancel=refund)
    async def order(ctx: Context, input: Any) -> Any:
        await ctx.step("pay", effects.do, "paid")
        test.store.runs[ctx.run_id].row.wanted = "cancel"
        test.store.runs[ctx.run_id].row.wakes += 1
        await ctx.step("ship", effects.do, "shipped")
        await ctx.step("invoice", effects.do, "invoiced")

    test = WorkflowTest()
    run = test.run("test.order", "order 7")
    assert run.status == "cancelled"
    assert effects.done[-1] == "order 7"
    assert "invoiced" not in effects.done


def test_an_unsafe_step_whose_intent_was_stored_too_late_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its start is what others count from before they ask a person, so an act that began late could overlap that."""
    effects = Effects()
    clock = ManualClock()
    test = WorkflowTest(clock=clock)
    stock = test.store.write
    outage = iter([test.lease_seconds])

    def write(*args: Any) -> Any:
        result = stock(*args)
        if any(run.steps for run in test.store.runs.values()):
            # As if the database had been away for so long, and the lease was renewed meanwhile.
            clock.advance(next(outage, 0.0))
        return result

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", effects.do, "pay", effect="unsafe", retry=Retry(max_attempts=2, first=0.0))

    monkeypatch.setattr(test.store, "write", write)
    run = test.run(flow)
    assert (run.status, run.output) == ("succeeded", "pay")
    assert effects.done == ["pay"]
    assert run.steps["pay#0"].attempt == 2


def test_an_unsafe_step_that_finds_its_lease_nearly_over_begins_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happened and the step is not to blame: however often that is so, none of its attempts is used up."""
    effects = Effects()
    test = WorkflowTest()
    left = iter([0.1] * 5)
    monkeypatch.setattr(test, "lease_left", lambda: next(left, test.lease_seconds))

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", effects.do, "pay", effect="unsafe", retry=Retry(max_attempts=1))

    run = test.run(flow)
    assert (run.status, run.output, effects.done) == ("succeeded", "pay", ["pay"])
    assert run.steps["pay#0"].attempt == 6
