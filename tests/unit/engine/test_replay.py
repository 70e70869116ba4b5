"""The durable function: recorded once, replayed in any order, parked and woken; on the in-memory journal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from agents.engine import Context, NoEffect, Permanent, Retry, Retryable, StepFailed, StepTimeout, workflow
from agents.engine.canonical import decode
from agents.engine.clock import ManualClock
from agents.engine.messages import Reply, ToolCall, Usage, user
from agents.testing import ScriptedModel, ScriptedTools, WorkflowTest


class Effects:
    """An outside world that remembers what was done to it."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def do(self, what: Any) -> Any:
        self.done.append(what)
        return what


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
