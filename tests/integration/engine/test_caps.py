"""Caps shared by the runs of a tree: on real drivers and tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from agents.engine import Context, tree_keeping, trees, workflow
from agents.engine.caps import Amounts, Caps
from agents.engine.messages import Reply, Usage, user
from agents.models import Run, Tree, WorkerState
from agents.services.errors import InvalidInput
from agents.services.runs import start_run
from tests.driving import steps_of, until, wait_for
from tests.factories import make_agent, make_run, make_worker

if TYPE_CHECKING:
    from agents.models import Workspace
    from agents.testing import ScriptedModel
    from tests.driving import RunningDriver

Queue = Callable[..., UUID]
CHAT = [user("Go on.")]


@workflow("capped_thinker")
async def thinker(ctx: Context, input: Any) -> None:
    """Ask a model so many times."""
    for _ in range(input):
        await ctx.think(CHAT)


@workflow("capped_crowd")
async def crowd(ctx: Context, input: Any) -> list[Any]:
    """Have many sub-runs ask a model."""
    return await ctx.gather(*(ctx.call("capped_thinker", input["each"]) for _ in range(input["children"])))


@workflow("capped_loop")
async def loop(ctx: Context, input: Any) -> None:
    """Never end."""
    while True:
        await ctx.step("again", nothing)


@workflow("capped_bomb")
async def bomb(ctx: Context, input: Any) -> None:
    """Start three that do the same."""
    for _ in range(3):
        await ctx.spawn("capped_bomb")


@workflow("capped_sleeper")
async def sleeper(ctx: Context, input: Any) -> None:
    """Wait without a worker."""
    await ctx.sleep(600)


@workflow("capped_busy")
async def busy(ctx: Context, input: Any) -> None:
    """Keep a worker."""
    await ctx.step("long", asyncio.sleep, 600)


@workflow("capped_parent")
async def parent(ctx: Context, input: Any) -> Any:
    """Await a sub-run."""
    return await ctx.call(input["goal"])


async def nothing() -> None:
    """Do nothing."""


@pytest.mark.fault(26)
@pytest.mark.fault(43)
def test_children_on_two_workers_spend_one_budget(
    start_driver: Callable[..., RunningDriver], model: ScriptedModel, queue: Queue
) -> None:
    model.replies = [Reply("assistant", "More.", usage=Usage(80, 10, 9_000)) for _ in range(200)]
    model.most = Usage(100, 20, 12_000)
    start_driver(claim_at_once=2)
    start_driver(claim_at_once=2)
    # 0.1 USD are enough for eleven calls and a bit; twelve children want four each.
    run = until(queue("capped_crowd", {"children": 12, "each": 4}, budget={"usd": 0.1}))
    assert run.status == "failed"
    assert run.error["type"] == "CapReached"
    assert run.error["message"].startswith("The budget of 0.10 USD of this tree of runs is used up")
    wait_for(lambda: not Run.objects.filter(root=run).active().exists(), "the children")
    spent = trees.taken(run.pk)
    assert 100_000 <= spent.microusd < 100_000 + 12_000
    children = Run.objects.filter(root=run)
    assert all(child.budget == {"usd": 0.1} for child in children)
    failed = [child for child in children if child.status == "failed"]
    assert failed
    assert {child.error["type"] for child in failed} == {"CapReached"}
    assert steps_of(run.pk)["gather#0/0/call:capped_thinker#0"].status in ("succeeded", "failed")
    wait_for(lambda: Tree.objects.get(pk=run.pk).holds == {}, "what was held to be free")


def test_what_a_dead_worker_held_is_free(workspace: Workspace) -> None:
    run = make_run(workspace, steps_done=3, input_tokens=40)
    dead, living = make_worker(state=WorkerState.DEAD), make_worker(state=WorkerState.ALIVE)
    Tree.objects.create(root=run, holds={str(dead.pk): [0, 0, 500, 0], str(living.pk): [0, 0, 7, 0]})
    seen: list[tuple[Amounts, Amounts]] = []

    def decide(spent: Amounts, others: Amounts) -> Amounts:
        seen.append((spent, others))
        return Amounts(tokens=5)

    trees.exchange(make_worker().pk, run.pk, decide)
    assert seen == [(Amounts(steps=3, tokens=40), Amounts(tokens=7))]
    assert sorted(held[2] for held in Tree.objects.get(pk=run.pk).holds.values()) == [5, 7]


@pytest.mark.fault(25)
def test_what_nobody_has_capped_is_ended_all_the_same(
    start_driver: Callable[..., RunningDriver], queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_keeping, "STANDARD", Caps(steps=400, depth=10, children=60))
    monkeypatch.setattr(tree_keeping, "LONG", 100)
    monkeypatch.setattr(tree_keeping, "EVERY", 0.05)
    start_driver()
    loop, bomb = queue("capped_loop"), queue("capped_bomb")
    ended = until(loop)
    assert (ended.status, ended.error["type"]) == ("failed", "CapReached")
    assert "400 steps that this tree of runs may take" in ended.reason
    until(bomb)
    wait_for(lambda: not Run.objects.filter(root=bomb).active().exists(), "the bomb to end")
    reasons = {run.error["type"] for run in Run.objects.filter(root=bomb, status="failed")}
    assert reasons == {"CapReached"}


def test_a_time_ends_a_run_at_work_and_what_it_started(driver: RunningDriver, queue: Queue) -> None:
    parent = queue("capped_parent", "capped_sleeper", budget={"seconds": 1.5})
    busy = queue("capped_busy", budget={"seconds": 1})
    ended = until(busy)
    assert (ended.status, ended.error["type"]) == ("failed", "CapReached")
    assert steps_of(busy)["long#0"].status == "interrupted"
    above = until(parent)
    child = Run.objects.get(parent=parent)
    assert child.deadline_at == above.deadline_at
    assert (above.error["type"], until(child.pk).error["type"]) == ("CapReached", "CapReached")


def test_a_sub_agent_ends_by_the_lower_of_its_own_time_and_its_parents(
    workspace: Workspace, driver: RunningDriver, queue: Queue
) -> None:
    make_agent(workspace, "napper", workflow="capped_sleeper", caps={"seconds": 1})
    parent = until(queue("capped_parent", "napper", budget={"seconds": 500}))
    child = Run.objects.get(parent=parent)
    assert child.deadline_at is not None
    assert child.deadline_at < parent.created_at + timedelta(seconds=60)
    assert (child.status, parent.error["type"]) == ("failed", "CapReached")


@pytest.mark.fault(43)
def test_a_sub_agents_own_caps_hold_within_those_of_its_tree(
    workspace: Workspace, driver: RunningDriver, model: ScriptedModel, queue: Queue
) -> None:
    model.replies = [Reply("assistant", "More.", usage=Usage(80, 10, 9_000)) for _ in range(20)]
    model.most = Usage(100, 20, 12_000)
    make_agent(workspace, "frugal", workflow="capped_thinker", caps={"tokens": 200, "usd": 5000})

    @workflow("asks_frugal")
    async def asks_frugal(ctx: Context, input: Any) -> Any:
        return await ctx.call("frugal", 10)

    run = until(queue("asks_frugal", budget={"usd": 1}))
    assert "The 200 tokens that this run may use are used up: 270" in run.error["message"]
    run = until(queue("asks_frugal", budget={"usd": 0.01}))
    assert "The budget of 0.01 USD of this tree" in run.error["message"]


def test_who_starts_a_run_can_lower_caps_but_not_raise_them(workspace: Workspace) -> None:
    workspace.caps = {"depth": 4, "usd": 3}
    workspace.save()
    agent = make_agent(workspace, caps={"usd": 2, "steps": 50})
    run = start_run(workspace=workspace, agent=agent, input="x", budget={"usd": 5, "steps": 20, "seconds": 60})
    assert run.budget == {"depth": 4, "usd": 2, "steps": 20, "seconds": 60}
    assert run.deadline_at == run.created_at + timedelta(seconds=60)
    assert start_run(workspace=workspace, workflow="react", input="x").budget == {"depth": 4, "usd": 3}
    for nonsense in ({"usd": -1}, {"pounds": 2}, {"steps": 1.5}, {"tokens": True}):
        with pytest.raises(InvalidInput):
            start_run(workspace=workspace, agent=agent, input="x", budget=nonsense)
