"""What runs leave in their worker's memory: nothing, once they are gone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID
from weakref import WeakSet

import pytest

from agents.engine import Context, workflow
from agents.engine.execution import Execution
from tests.driving import RunningDriver, until, wait_for

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
