"""What a tree of runs may take, and what becomes of a run that wants more; on the in-memory journal."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from agents.engine import Context, Permanent, StepFailed, workflow
from agents.engine.caps import NOTHING, Amounts, Caps
from agents.engine.errors import CapReached
from agents.engine.ledger import Decide, Ledger
from agents.engine.messages import Reply, Usage, user
from agents.testing import ScriptedModel, TestRun, WorkflowTest

CHAT = [user("Go on.")]


class Counted:
    """Counts how often it was done."""

    times = 0

    async def do(self) -> None:
        self.times += 1

    async def fail(self) -> None:
        self.times += 1
        raise Permanent("No.")


def run_capped(test: WorkflowTest, flow: Any, input: Any = None, **caps: float) -> TestRun:
    return test.resume(test.queue(flow, input, budget=caps))


def reply(tokens: int, microusd: int) -> Reply:
    return Reply("assistant", "More.", usage=Usage(tokens, 0, microusd))


def tree_of(test: WorkflowTest) -> Amounts:
    root = next(run for run in test.store.runs.values() if run.root_id is None)
    return test.store.taken(root.row.id)


@pytest.mark.fault(25)
def test_steps_without_end_are_ended_saying_why() -> None:
    counted = Counted()

    async def flow(ctx: Context, input: Any) -> None:
        while True:
            await ctx.step("again", counted.do)

    run = run_capped(WorkflowTest(), flow, steps=120)
    assert run.status == "failed"
    assert run.error == {
        "type": "CapReached",
        "message": "The 120 steps that this tree of runs may take are used up: 120 were taken.",
    }
    assert counted.times == 120


@pytest.mark.fault(25)
def test_steps_that_fail_count_too() -> None:
    counted = Counted()

    async def flow(ctx: Context, input: Any) -> None:
        while True:
            try:
                await ctx.step("again", counted.fail)
            except StepFailed:
                await ctx.emit("failed again")

    run = run_capped(WorkflowTest(), flow, steps=30)
    assert (run.status, run.error["type"]) == ("failed", "CapReached")
    assert counted.times == 30


@pytest.mark.fault(25)
def test_a_replay_takes_nothing_again() -> None:
    counted = Counted()

    async def flow(ctx: Context, input: Any) -> None:
        for _ in range(8):
            await ctx.step("again", counted.do)
            await ctx.sleep(60)

    run = run_capped(WorkflowTest(), flow, steps=16)
    assert run.status == "succeeded"
    assert counted.times == 8


@pytest.mark.fault(25)
def test_two_that_call_each_other_end_at_the_depth_that_holds_for_all_trees() -> None:
    test = WorkflowTest()
    run = test.run("caps_ping", 0)
    assert run.status == "failed"
    assert run.error["type"] == "CapReached"
    assert "10 deep at most" in run.error["message"]
    assert len(test.store.runs) == 11


@pytest.mark.fault(25)
def test_a_bomb_of_sub_runs_ends_at_the_cap_on_children() -> None:
    test = WorkflowTest()
    run = run_capped(test, "caps_bomb", 5, children=40)
    assert run.status == "failed"
    assert run.error["type"] == "CapReached"
    assert run.error["message"] == "The 40 sub-runs that this tree of runs may start are used up: 40 were started."
    assert tree_of(test).children == 40


def test_a_refused_sub_run_is_recorded_and_the_code_may_go_on() -> None:
    counted = Counted()

    async def flow(ctx: Context, input: Any) -> str:
        try:
            await ctx.call("caps_nothing")
            await ctx.call("caps_nothing")
        except StepFailed as failure:
            await ctx.sleep(60)
            return failure.type
        return "both"

    run = run_capped(WorkflowTest(), flow, children=1)
    assert (run.status, run.output) == ("succeeded", "CapReached")
    assert run.steps["call:caps_nothing#1"].status == "failed"
    assert counted.times == 0


@pytest.mark.fault(25)
def test_each_sub_run_of_a_window_counts_and_a_window_that_does_not_fit_is_not_begun() -> None:
    async def flow(ctx: Context, input: Any) -> None:
        async for window in ctx.each("caps_nothing", [None] * 25, width=10):
            await ctx.emit("ended", len(window.numbers))

    test = WorkflowTest()
    run = run_capped(test, flow, children=24)
    assert run.error == {
        "type": "CapReached",
        "message": "The 24 sub-runs that this tree of runs may start are used up: 20 were started.",
        "step": "each:caps_nothing#0/window#2",
    }
    assert tree_of(test).children == 20
    assert run_capped(WorkflowTest(), flow, children=25).status == "succeeded"


@pytest.mark.fault(26)
def test_a_budget_of_money_ends_the_calls() -> None:
    model = ScriptedModel([reply(100, 200_000) for _ in range(9)])
    model.most = Usage(100, 50, 300_000)

    async def flow(ctx: Context, input: Any) -> None:
        while True:
            await ctx.think(CHAT)

    run = run_capped(WorkflowTest(model=model), flow, usd=0.5)
    assert run.status == "failed"
    assert run.error["message"] == "The budget of 0.50 USD of this tree of runs is used up: 0.6000 USD were spent."
    assert len(model.requests) == 3


@pytest.mark.fault(26)
def test_concurrent_calls_reserve_before_they_begin() -> None:
    async def flow(ctx: Context, input: Any) -> list[Any]:
        return await ctx.gather(*(ctx.call("caps_thinks", 3) for _ in range(8)))

    model = Slow([reply(400, 0) for _ in range(40)])
    model.most = Usage(500, 0, 0)
    test = WorkflowTest(model=model)
    run = run_capped(test, flow, tokens=3_000)
    assert run.error["type"] == "CapReached"
    assert 3_000 <= tree_of(test).tokens < 3_000 + 500
    assert model.most_at_once <= 6


class Slow(ScriptedModel):
    """A model that takes its time, and counts who asks at once."""

    at_once = most_at_once = 0

    async def respond(self, request: Any, stream: Any) -> Reply:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        for _ in range(20):
            await asyncio.sleep(0)
        self.at_once -= 1
        return await super().respond(request, stream)


def test_a_price_that_nobody_knows_is_no_price_within_a_budget() -> None:
    model = ScriptedModel(["Yes."])
    model.most = Usage(10, 10, None)

    async def flow(ctx: Context, input: Any) -> str:
        return (await ctx.think(CHAT)).text

    assert "price of this model is not known" in run_capped(WorkflowTest(model=model), flow, usd=1).error["message"]
    assert run_capped(WorkflowTest(model=model), flow, tokens=1_000).output == "Yes."


@pytest.mark.parametrize("crash_after", range(1, 9))
def test_what_a_killed_worker_had_reserved_is_free_and_what_it_recorded_counts_once(crash_after: int) -> None:
    model = ScriptedModel([reply(100, 0) for _ in range(9)])
    model.most = Usage(150, 0, 0)

    async def flow(ctx: Context, input: Any) -> None:
        while True:
            await ctx.think(CHAT)

    test = WorkflowTest(model=model)
    run = test.resume(test.queue(flow, budget={"tokens": 400}), crash_after=crash_after)
    assert run.error["type"] == "CapReached"
    assert tree_of(test).tokens == 400


def test_the_lowest_of_all_caps_counts_and_nonsense_says_nothing() -> None:
    agent, request = Caps.of({"usd": 2, "steps": 10, "depth": True}), Caps.of({"usd": 0.5, "tokens": "many"})
    assert agent.lowered_by(request) == Caps(steps=10, microusd=500_000)
    assert agent.lowered_by(request).told() == {"steps": 10, "usd": 0.5}


class Tables:
    """The tables as two processes see them: what is spent, and what each holds."""

    def __init__(self) -> None:
        self.spent = NOTHING
        self.holds: dict[int, Amounts] = {}

    def ledger(self, worker: int) -> Ledger:
        async def exchange(_: Any, decide: Decide) -> None:
            others = [held for holder, held in self.holds.items() if holder != worker]
            held = NOTHING
            for other in others:
                held = held.plus(other)
            self.holds[worker] = decide(self.spent, held)
            await asyncio.sleep(0)

        return Ledger(exchange)


@pytest.mark.fault(26)
def test_processes_wait_for_what_others_hold_and_are_refused_when_it_is_spent() -> None:
    async def scene() -> None:
        tables, caps = Tables(), Caps(tokens=100)
        one, other = tables.ledger(1), tables.ledger(2)
        tree, first, second = uuid4(), uuid4(), uuid4()
        await one.take(tree, caps, first, "think#0", Amounts(tokens=70))
        await other.take(tree, caps, second, "think#0", Amounts(tokens=70))
        third = asyncio.create_task(other.take(tree, caps, second, "think#1", Amounts(tokens=10)))
        await asyncio.sleep(0.3)
        assert not third.done()
        tables.spent = Amounts(tokens=5)
        one.hold(tree, first, "think#0", NOTHING)
        assert await third == Amounts(tokens=10)
        tables.spent = Amounts(tokens=100)
        with pytest.raises(CapReached, match="100 tokens"):
            await one.take(tree, caps, first, "think#1", Amounts(tokens=1))

    asyncio.run(scene())


@pytest.mark.fault(26)
def test_who_asks_while_others_are_being_answered_is_answered_next() -> None:
    async def scene() -> None:
        tree, caps = uuid4(), Caps(tokens=100)
        late: list[asyncio.Task[Amounts]] = []

        def ask(key: str) -> asyncio.Task[Amounts]:
            return asyncio.create_task(ledger.take(tree, caps, uuid4(), key, Amounts(tokens=10)))

        async def exchange(_: Any, decide: Decide) -> None:
            decide(NOTHING, NOTHING)
            if not late:
                late.append(ask("think#1"))
                await asyncio.sleep(0.01)

        ledger = Ledger(exchange)
        async with asyncio.timeout(10.0):
            assert await ask("think#0") == Amounts(tokens=10)
            assert await late[0] == Amounts(tokens=10)

    asyncio.run(scene())


@workflow("caps_nothing")
async def caps_nothing(ctx: Context, input: Any) -> None:
    """Do nothing."""


@workflow("caps_ping")
async def caps_ping(ctx: Context, input: int) -> Any:
    """Ask the other."""
    return await ctx.call("caps_pong", input + 1)


@workflow("caps_pong")
async def caps_pong(ctx: Context, input: int) -> Any:
    """Ask the other."""
    return await ctx.call("caps_ping", input + 1)


@workflow("caps_bomb")
async def caps_bomb(ctx: Context, input: int) -> Any:
    """Start many that start many."""
    return await ctx.gather(*(ctx.call("caps_bomb", input) for _ in range(input)))


@workflow("caps_thinks")
async def caps_thinks(ctx: Context, input: int) -> None:
    """Ask a model so many times."""
    for _ in range(input):
        await ctx.think(CHAT)
