"""What runs leave in their worker's memory: nothing, once they are gone."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID
from weakref import WeakSet

import pytest

from agents.engine import Context, control, workflow
from agents.engine.execution import Execution
from agents.models import Run, Worker
from tests.driving import PATIENCE, RunningDriver, until, wait_for
from tests.factories import make_worker

RUNS = 8


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Let nothing be collected that a cycle keeps alive: in a worker that happens seldom."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> WeakSet[Execution]:
    """Those of this test that are still in memory. (Never ask gc for them: it hands out what other threads build.)"""
    living: WeakSet[Execution] = WeakSet()
    begin = Execution.__init__

    def noted(self: Execution, *args: Any) -> None:
        living.add(self)
        begin(self, *args)

    monkeypatch.setattr(Execution, "__init__", noted)
    return living


def test_runs_that_have_left_are_gone_without_the_collector(
    driver: RunningDriver, queue: Callable[..., UUID], no_collector: None, executions: WeakSet[Execution]
) -> None:
    @workflow("mixed")
    async def mixed(ctx: Context, input: Any) -> Any:
        first = await ctx.step("first", lambda: 1)
        return first + sum(await ctx.gather(*(ctx.step("branch", lambda n: n, n) for n in range(3))))

    assert [until(id).output for id in [queue("mixed") for _ in range(RUNS)]] == [4] * RUNS
    # The last one may still be in some thread's hands.
    wait_for(lambda: len(executions) <= 1, "their executions to be freed")


@pytest.mark.parametrize("how", ["failed", "waiting", "cancelled"])
def test_runs_that_left_by_an_exception_are_gone_without_the_collector(
    driver: RunningDriver,
    queue: Callable[..., UUID],
    no_collector: None,
    executions: WeakSet[Execution],
    how: str,
) -> None:
    @workflow("raises")
    async def raises(ctx: Context, input: Any) -> Any:
        await ctx.step("first", lambda: 1)
        if how == "failed":
            raise LookupError("nothing there")
        await ctx.sleep(3600)

    runs = [queue("raises") for _ in range(RUNS)]
    for run in runs:
        until(run, "failed" if how == "failed" else "waiting")
        if how == "cancelled":
            control.cancel(run, by="tester")
            until(run, "cancelled")
    wait_for(lambda: len(executions) <= 1, "their executions to be freed")


def test_runs_that_are_taken_away_in_a_step_are_gone_without_the_collector(
    driver: RunningDriver, queue: Callable[..., UUID], no_collector: None, executions: WeakSet[Execution]
) -> None:
    began = threading.Semaphore(0)

    async def long() -> None:
        began.release()
        await asyncio.sleep(3600)

    @workflow("long")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("long", long)

    for _ in range(RUNS):
        queue("long")
        assert began.acquire(timeout=PATIENCE)
    # What another worker does that finds this one silent.
    Run.objects.update(epoch=9, worker=make_worker())
    Worker.objects.filter(pk=driver.worker_id).update(state="dead")
    wait_for(lambda: len(executions) <= 1, "their executions to be freed")
