"""What a person decides about steps whose outcome is unknown or whose code changed; with a real driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.engine import Context, NoEffect, StepFailed, workflow
from agents.models import Inbox, Run, Wait, Worker
from agents.services.errors import InvalidInput, NotFound
from agents.services.runs import decide_step
from tests.driving import PATIENCE, RunningDriver, kinds, steps_of, until, wait_for
from tests.gates import GatedWorld

Queue = Callable[..., UUID]
StartDriver = Callable[..., RunningDriver]


def test_an_unsafe_step_of_unknown_outcome_waits_for_a_person(
    driver: RunningDriver, queue: Queue, world: GatedWorld
) -> None:
    @workflow("unsafe")
    async def flow(ctx: Context, input: Any) -> Any:
        try:
            return await ctx.step("pay", world.fail, "pay", effect="unsafe")
        except StepFailed as error:
            return error.type

    expected = {
        "done": ("receipt", 1),
        "retry": ("pay", 2),
        "give_up": ("OutcomeUnknown", 1),
    }
    for choice, (output, times) in expected.items():
        world.fails, world.done = True, []
        run_id = queue("unsafe")
        run = until(run_id, "waiting")
        assert "unknown" in run.reason
        assert steps_of(run_id)["pay#0"].status == "unknown"
        world.fails = False
        with pytest.raises(InvalidInput):
            decide_step(run, key="pay#0", choice="reuse", by=None)
        decide_step(run, key="pay#0", choice=choice, outcome="receipt", by=None)
        run = until(run_id)
        assert (run.output, world.done.count("pay")) == (output, times), choice
        assert not Inbox.objects.filter(run=run, consumed_at=None).exists()
        with pytest.raises(NotFound):
            decide_step(run, key="pay#0", choice="retry", by=None)


def test_an_unsafe_step_that_surely_did_nothing_is_tried_again(driver: RunningDriver, queue: Queue) -> None:
    tries: list[int] = []

    def pay() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise NoEffect("refused before anything happened")
        return "paid"

    @workflow("no-effect")
    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", pay, effect="unsafe")

    assert until(queue("no-effect")).output == "paid"


def test_a_changed_workflow_waits_for_a_person(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    question = ["old"]

    @workflow("changing")
    async def flow(ctx: Context, input: Any) -> Any:
        answer = await ctx.step("ask", world.act, question[0])
        await ctx.sleep(0.3)
        return [answer, await ctx.step("later", world.act, "later")]

    expected = {
        "reuse": (["old", "later"], ["old", "later"]),
        "rerun": (["new", "later"], ["old", "new", "later"]),
        "give_up": (None, ["old"]),
    }
    for choice, (output, done) in expected.items():
        question[0], world.done = "old", []
        run_id = queue("changing")
        until(run_id, "waiting")
        question[0] = "new"
        wait_for(Wait.objects.filter(run_id=run_id, kind="changed").exists, "the question")
        run = Run.objects.get(pk=run_id)
        decide_step(run, key="ask#0", choice=choice, by=None)
        run = until(run_id)
        assert (run.output, world.done) == (output, done), choice
        kinds(run_id)


def test_an_interrupted_unsafe_step_is_asked_about_only_when_it_must_be_over(
    start_driver: StartDriver, queue: Queue, world: GatedWorld
) -> None:
    """Its worker died; whoever executed it may be at it until lease and timeout have passed."""

    @workflow("interrupted-unsafe")
    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("pay", world.wait, "pay", effect="unsafe", timeout=30.0)

    first = start_driver(grace=0.1)
    run_id = queue("interrupted-unsafe")
    assert world.began.wait(PATIENCE)
    # Declared dead while it is at it, as after a SIGSTOP.
    Worker.objects.filter(pk=first.worker_id).update(state="dead")
    start_driver(lease=0.5)
    run = until(run_id, "waiting")
    assert steps_of(run_id)["pay#0"].status == "unknown"
    assert [(wait.kind, wait.name) for wait in Wait.objects.filter(run=run)] == [("timer", "settle")]
    with pytest.raises(NotFound):
        decide_step(run, key="pay#0", choice="retry", by=None)
    world.release.set()
