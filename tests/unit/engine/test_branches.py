"""Branches and sub-runs: gathered, raced, dropped, replayed; on the in-memory journal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from agents.engine import Context, Permanent, StepFailed, StepTimeout
from agents.engine.canonical import decode
from agents.engine.clock import ManualClock
from agents.testing import WorkflowTest
from tests.effects import Effects


def test_gather_settles_all_and_raises_the_lowest_failure() -> None:
    effects = Effects()

    async def fail(i: int) -> None:
        await effects.do(i)
        raise Permanent(f"no {i}", "No")

    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.gather(*(ctx.step(f"s{i}", fail if i % 2 else effects.do, i) for i in range(5)))

    run = WorkflowTest().run(flow)
    assert run.error["message"] == "no 1"
    assert sorted(effects.done) == [0, 1, 2, 3, 4]


def test_a_foreign_task_is_refused_by_name() -> None:
    async def flow(ctx: Context, input: Any) -> Any:
        await asyncio.gather(ctx.step("a", lambda: 1), ctx.step("b", lambda: 2))

    run = WorkflowTest().run(flow)
    assert run.error["type"] == "ForeignTask"
    assert "ctx.gather" in run.error["message"]


def test_the_order_of_a_race_is_recorded() -> None:
    starts = Effects()

    async def slow(ctx: Context) -> str:
        await ctx.sleep(100)
        return "slow"

    async def fast(ctx: Context) -> str:
        await ctx.step("fast", starts.do, 1)
        return "fast"

    async def flow(ctx: Context, input: Any) -> Any:
        first = await ctx.race(slow(ctx), fast(ctx))
        await ctx.sleep(50)
        return first

    run = WorkflowTest().run(flow)
    assert run.output == [1, "fast"]
    assert starts.done == [1]


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.parametrize("by", ["race", "cancel"])
def test_an_outcome_on_its_way_to_the_tables_is_not_closed_as_interrupted(by: str, turns: int) -> None:
    """Whatever ends the step's branch comes at each turn of the loop around its end."""
    world = WorkflowTest()

    async def first() -> str:
        if by == "cancel":
            row = world.store.runs[run_id].row
            row.wanted, row.wakes = "cancel", row.wakes + 1
        return "first"

    async def second() -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        return "second"

    async def flow(ctx: Context, input: Any) -> Any:
        branches = ctx.step("first", first), ctx.step("second", second)
        return await (ctx.race(*branches) if by == "race" else ctx.gather(*branches))

    run_id = world.queue(flow)
    world.resume(run_id)
    run = world.store.runs[run_id]
    finished = [decode(event.data)["key"] for _, event in run.events if event.kind == "step_finished"]
    interrupted = [decode(event.data)["key"] for _, event in run.events if event.kind == "step_interrupted"]
    assert not set(finished) & set(interrupted)
    assert all(run.steps[key].status == "succeeded" for key in finished)
    assert run.row.steps_done == len(finished)


@pytest.mark.parametrize("turns", range(12))
def test_a_sub_run_called_just_before_its_branch_is_dropped_is_cancelled(turns: int) -> None:
    world = WorkflowTest()

    async def first() -> str:
        return "first"

    async def second() -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        return "second"

    async def child(ctx: Context, input: Any) -> Any:
        await ctx.sleep(3600)

    async def loser(ctx: Context) -> Any:
        await ctx.step("second", second)
        return await ctx.call("child")

    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.race(ctx.step("first", first), loser(ctx))

    world._functions["child"] = child
    run = world.run(flow)
    assert (run.status, run.output) == ("succeeded", [0, "first"])
    assert {other.row.status for other in world.store.runs.values() if other.parent_id} <= {"cancelled"}


def test_a_dropped_sub_run_is_cancelled_by_the_replay_when_its_worker_died_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = WorkflowTest()
    cancelled: list[str] = []
    # A worker that dies carries out nothing.
    monkeypatch.setattr(world, "cancel_child", cancelled.append)

    async def child(ctx: Context, input: Any) -> Any:
        await ctx.sleep(3600)

    async def flow(ctx: Context, input: Any) -> Any:
        winner = await ctx.race(ctx.sleep(1), ctx.call("child"))
        with suppress(StepTimeout):
            await ctx.timeout(1, ctx.call("child"))
        await ctx.sleep(10)
        return winner

    world._functions["child"] = child
    run = world.run(flow)
    children = [str(id) for id, other in world.store.runs.items() if other.parent_id]
    # Once when the branch was dropped, and again by each replay, as long as nobody has heard of its end.
    assert run.status == "succeeded"
    assert set(cancelled) == set(children)
    assert min(cancelled.count(id) for id in children) >= 2


def test_as_completed_replays_its_order() -> None:
    seen: list[list[int]] = []

    async def branch(ctx: Context, i: int) -> int:
        await ctx.sleep(10 - i)
        return i

    async def flow(ctx: Context, input: Any) -> Any:
        order = []
        async for index, _ in ctx.as_completed(*(branch(ctx, i) for i in range(3))):
            order.append(index)
        seen.append(order)
        await ctx.sleep(100)
        return order

    assert WorkflowTest().run(flow).output == [2, 1, 0]
    assert seen[-1] == [2, 1, 0]


def test_a_timeout_over_a_branch_outlives_parking() -> None:
    async def long(ctx: Context) -> None:
        await ctx.sleep(1000)

    async def flow(ctx: Context, input: Any) -> Any:
        try:
            await ctx.timeout(30, long(ctx))
        except StepTimeout:
            await ctx.sleep(5)
            return "too slow"

    clock = ManualClock()
    began = clock.now()
    assert WorkflowTest(clock=clock).run(flow).output == "too slow"
    assert (clock.now() - began).total_seconds() < 40


def test_sub_runs_are_awaited_and_their_failures_typed() -> None:
    test = WorkflowTest()

    async def child(ctx: Context, input: Any) -> Any:
        await ctx.sleep(5)
        if input == 2:
            raise ValueError("two")
        return input * 10

    async def flow(ctx: Context, input: Any) -> Any:
        good = await ctx.gather(*(ctx.call("child", i) for i in (1, 3, 4)))
        try:
            await ctx.call("child", 2)
        except StepFailed as failure:
            return [*good, failure.type]

    test._functions["child"] = child
    run = test.run(flow)
    assert run.output == [10, 30, 40, "ValueError"]


def test_a_join_wakes_its_parent_once() -> None:
    test = WorkflowTest()
    replays = 0

    async def child(ctx: Context, input: Any) -> Any:
        await ctx.sleep(input)
        return input

    async def flow(ctx: Context, input: Any) -> Any:
        nonlocal replays
        replays += 1
        return sum(await ctx.gather(*(ctx.call("child", i) for i in range(1, 51))))

    test._functions["child"] = child
    assert test.run(flow).output == sum(range(1, 51))
    assert replays == 2


def test_dropping_a_coroutine_is_not_unwinding_it() -> None:
    effects = Effects()

    async def flow(ctx: Context, input: Any) -> Any:
        try:
            await ctx.sleep(10)
        except BaseException:
            await effects.do("except")
            raise
        finally:
            if ctx._x.sealed:
                try:
                    await ctx.step("late", effects.do, "late")
                except Exception:  # noqa: BLE001 (what a careless workflow does)
                    effects.done.append("swallowed")
        return "done"

    run = WorkflowTest().run(flow)
    assert (run.status, run.output) == ("succeeded", "done")
    assert "late" not in effects.done
    assert "swallowed" not in effects.done
