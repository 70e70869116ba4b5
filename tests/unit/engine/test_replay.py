"""The durable function: recorded once, replayed in any order, parked and woken; on the in-memory journal."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from agents.engine import Context, Permanent, StepFailed
from agents.engine.clock import ManualClock
from agents.engine.messages import Reply, ToolCall, Usage, user
from agents.testing import ScriptedModel, ScriptedTools, WorkflowTest
from tests.effects import Effects


def test_gives_the_workflows_result_and_records_its_steps() -> None:
    effects = Effects()

    async def flow(ctx: Context, input: Any) -> Any:
        first = await ctx.step("first", effects.do, input["n"])
        return await ctx.step("second", effects.do, first + 1)

    run = WorkflowTest().run(flow, {"n": 1})
    assert (run.status, run.output) == ("succeeded", 2)
    assert [step.outcome for step in run.steps.values()] == ["1", "2"]
    assert run.events == ["run_queued", "run_started", "step_finished", "step_finished", "run_succeeded"]


@pytest.mark.parametrize("crash_after", range(1, 8))
def test_a_crash_at_any_boundary_repeats_no_recorded_step(crash_after: int) -> None:
    effects = Effects()

    async def flow(ctx: Context, input: Any) -> Any:
        return [await ctx.step("act", effects.do, n) for n in range(5)]

    run = WorkflowTest().run(flow, crash_after=crash_after)
    assert (run.status, run.output) == ("succeeded", [0, 1, 2, 3, 4])
    repeated = len(effects.done) - len(set(effects.done))
    assert repeated <= 1
    assert repeated == run.events.count("step_interrupted")


def test_what_the_code_sees_live_is_what_replay_shows() -> None:
    seen: list[Any] = []

    async def flow(ctx: Context, input: Any) -> Any:
        seen.append(await ctx.step("tuple", lambda: (1, 2)))
        await ctx.sleep(60)
        return None

    WorkflowTest().run(flow)
    assert seen == [[1, 2], [1, 2]]


def test_parallel_branches_replay_in_any_order() -> None:
    random = Random(7)
    for _ in range(100):
        effects = Effects()
        delays = [random.randint(0, 3) for _ in range(4)]

        async def branch(ctx: Context, i: int, delays: list[int] = delays, effects: Effects = effects) -> Any:
            await ctx.step("a", effects.do, f"a{i}")
            await ctx.sleep(delays[i])
            for _ in range(random.randint(0, 3)):
                await asyncio.sleep(0)
            return await ctx.step("b", effects.do, f"b{i}")

        async def flow(ctx: Context, input: Any, branch: Any = branch) -> Any:
            return await ctx.gather(*(branch(ctx, i) for i in range(4)))

        run = WorkflowTest().run(flow, crash_after=random.randint(1, 6))
        assert run.output == ["b0", "b1", "b2", "b3"], run.error
        assert all(effects.done.count(f"{step}{i}") <= 2 for step in "ab" for i in range(4))


def test_a_step_inserted_removed_or_renamed_keeps_the_records_of_the_others() -> None:
    effects = Effects()
    names = ["a", "b", "c"]

    async def flow(ctx: Context, input: Any) -> Any:
        for name in names:
            await ctx.step(name, effects.do, name)
        await ctx.sleep(1)
        return names

    test = WorkflowTest()
    run_id = test.queue(flow)
    test.resume(run_id)
    assert effects.done == ["a", "b", "c"]
    names[:] = ["a", "x", "c"]
    test.store.runs[run_id].row.status = "queued"
    test.store.runs[run_id].row.output = None
    effects.done.clear()
    assert test.resume(run_id).output == ["a", "x", "c"]
    assert effects.done == ["x"]


def test_a_changed_input_parks_the_run_and_asks() -> None:
    effects = Effects()
    question = "old"

    async def flow(ctx: Context, input: Any) -> Any:
        answer = await ctx.step("ask", effects.do, question)
        await ctx.sleep(1)
        return [answer, await ctx.step("later", effects.do, "later")]

    for choice, expected, done in (
        ("reuse", ["old", "later"], ["later"]),
        ("rerun", ["new", "later"], ["new", "later"]),
    ):
        question = "old"
        test = WorkflowTest()
        run_id = test.queue(flow)
        test.resume(run_id, crash_after=1)
        # The first resume drove it to its end; wind it back to the sleep, as a deploy in between would find it.
        memory = test.store.runs[run_id]
        for key in ("sleep#0", "later#0"):
            memory.steps.pop(key, None)
        memory.row.status, memory.row.output = "queued", None
        effects.done.clear()
        question = "new"
        run = test.resume(run_id)
        assert run.status == "waiting"
        assert run.reason == "workflow changed at ask#0: reuse or run again?"
        test.tell(run_id, "decide:ask#0", {"choice": choice})
        run = test.resume(run_id)
        assert (run.status, run.output) == ("succeeded", expected)
        assert effects.done == done


def test_a_long_pause_parks_and_takes_no_time() -> None:
    clock = ManualClock()
    began = clock.now()

    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.sleep(3600)
        await ctx.sleep(until=began + timedelta(days=2))
        return (ctx.now() - began).total_seconds()

    run = WorkflowTest(clock=clock).run(flow)
    assert run.output >= 2 * 86400
    assert run.events.count("run_waiting") == 2


def test_now_random_and_uuid_are_the_same_in_every_replay() -> None:
    seen: list[Any] = []

    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("a", lambda: 1)
        seen.append((ctx.now(), ctx.random(), ctx.random(), ctx.uuid(), ctx.idempotency_key("pay")))
        await ctx.sleep(10)

    WorkflowTest().run(flow)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0][1] != seen[0][2]


def test_progress_is_emitted_once() -> None:
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.emit("halfway", {"percent": 50})
        await ctx.sleep(10)

    assert WorkflowTest().run(flow).events.count("progress") == 1


def test_an_early_message_is_kept_and_a_token_counts_once() -> None:
    async def flow(ctx: Context, input: Any) -> Any:
        return "done"

    test = WorkflowTest()
    run_id = test.queue(flow)
    test.tell(run_id, "x", 1, token="t")
    test.tell(run_id, "x", 2, token="t")
    assert len(test.store.runs[run_id].messages) == 1
    assert test.resume(run_id).status == "succeeded"


def test_a_chat_is_recorded_as_deltas_and_replayed() -> None:
    calls = (ToolCall("c1", "look", {"q": "x"}), ToolCall("c2", "look", {"q": "y"}))
    model = ScriptedModel(
        [Reply("assistant", "", tool_calls=calls, finish="tool_calls", usage=Usage(10, 5, 100)), "the answer"]
    )

    async def look(arguments: Any, info: Any) -> str:
        return f"found {arguments['q']}"

    async def flow(ctx: Context, input: Any) -> Any:
        chat: list[Any] = [user(input)]
        while True:
            reply = await ctx.think(chat, tools=["look"])
            chat.append(reply)
            if not reply.tool_calls:
                await ctx.sleep(10)
                return reply.text
            chat += await ctx.gather(*(ctx.tool(call) for call in reply.tool_calls))

    run = WorkflowTest(model=model, tools=ScriptedTools(look=look)).run(flow, "goal")
    assert run.output == "the answer"
    assert [m.text for m in model.requests[1].messages] == ["goal", "", "found x", "found y"]
    assert run.memory.row.input_tokens == 10
    assert run.memory.row.cost_microusd == 100
    second = run.steps["think#1"]
    assert second.label == "analyze"
    assert second.input is not None
    assert '"after":"think#0"' in second.input
    assert '"step":"think#0"' in second.input


def test_a_tool_that_fails_answers_the_model_but_raises_by_name() -> None:
    async def broken(arguments: Any, info: Any) -> str:
        raise Permanent("out of order", "Broken")

    async def flow(ctx: Context, input: Any) -> Any:
        answered = await ctx.tool(ToolCall("1", "broken", {}))
        unknown = await ctx.tool(ToolCall("2", "nothing", {}))
        try:
            await ctx.tool("broken")
        except StepFailed as failure:
            return [answered.ok, answered.text, unknown.ok, failure.type]

    run = WorkflowTest(tools=ScriptedTools(broken=broken)).run(flow)
    assert run.output == [False, "Broken: out of order", False, "Broken"]


def test_a_large_outcome_is_kept_apart_and_comes_back() -> None:
    big = "x" * 400_000

    async def flow(ctx: Context, input: Any) -> Any:
        got = await ctx.step("big", lambda: big)
        await ctx.sleep(5)
        return len(got)

    test = WorkflowTest()
    assert test.run(flow).output == 400_000
    assert len(test.store.larges) == 1


def test_an_unknown_workflow_waits_for_a_worker_that_knows_it() -> None:
    run = WorkflowTest().run("nobody_knows_this")
    assert run.status == "waiting"
    assert "nobody_knows_this" in run.reason
