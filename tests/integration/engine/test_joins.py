"""One of several sub-runs fails: it alone is done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.engine import Context, Retry, control, retrying, workflow
from agents.models import Inbox, Run
from agents.services.previews import preview_retry
from tests.driving import RunningDriver, kinds, until, wait_for

CHILDREN = 5
ONCE = Retry(max_attempts=1)


@pytest.mark.fault(13)
def test_a_retry_does_only_the_sub_run_again_that_failed(driver: RunningDriver, queue: Callable[..., UUID]) -> None:
    executed: Counter[str] = Counter()
    is_broken = True

    def act(name: str) -> str:
        executed[name] += 1
        if name == "child 2" and is_broken:
            raise ValueError("broken")
        return name

    @workflow("joined-child")
    async def child(ctx: Context, input: Any) -> Any:
        await ctx.sleep(0.3)
        return await ctx.step("act", act, f"child {input['n']}", retry=ONCE)

    @workflow("joined")
    async def parent(ctx: Context, input: Any) -> Any:
        found = await ctx.gather(*(ctx.call("joined-child", {"n": n}) for n in range(CHILDREN)))
        return [*found, await ctx.step("after", act, "after the join")]

    run_id = queue("joined")
    run = until(run_id)
    assert (run.status, run.error["step"]) == ("failed", "gather#0/2/call:joined-child#0")
    # All siblings are settled, and the join went on once: the parent came back one time for all five.
    assert executed == {f"child {n}": 1 for n in range(CHILDREN)}
    told = Counter(kinds(run_id))
    assert (told["run_started"], told["run_waiting"]) == (2, 1)
    is_broken = False
    assert retrying.retry(run_id, by="tester") == ["gather#0/2/call:joined-child#0"]
    run = until(run_id)
    assert run.output == [*(f"child {n}" for n in range(CHILDREN)), "after the join"]
    assert executed == {**{f"child {n}": 1 for n in range(CHILDREN)}, "child 2": 2, "after the join": 1}
    told = Counter(kinds(run_id))
    assert (told["run_started"], told["run_waiting"]) == (4, 2)
    children = Run.objects.filter(parent_id=run_id)
    assert Counter(children.values_list("parent_key", flat=True)) == {
        f"gather#0/{n}/call:joined-child#0": 1 + (n == 2) for n in range(CHILDREN)
    }
    assert Counter(children.values_list("status", flat=True)) == {"succeeded": CHILDREN, "failed": 1}
    assert not Inbox.objects.filter(run_id=run_id, consumed_at=None).exists()


def test_a_replay_knows_the_sub_runs_it_had_started(driver: RunningDriver, queue: Callable[..., UUID]) -> None:
    @workflow("joined-child")
    async def child(ctx: Context, input: Any) -> Any:
        return input

    @workflow("remembers")
    async def parent(ctx: Context, input: Any) -> Any:
        started = await ctx.spawn("joined-child", "seen")
        found = await started.result()
        await ctx.sleep(0.3)
        return [str(started.id), found]

    run_id = queue("remembers")
    run = until(run_id)
    assert run.epoch > 1, "it was never replayed"
    assert run.output == [str(Run.objects.get(parent_id=run_id).id), "seen"]


def test_inputs_are_worked_on_in_windows(driver: RunningDriver, queue: Callable[..., UUID]) -> None:
    executed: Counter[int] = Counter()

    def act(number: int) -> int:
        executed[number] += 1
        if number == 3 and executed[number] == 1:
            raise ValueError("broken")
        return 2 * number

    @workflow("mapped")
    async def child(ctx: Context, input: Any) -> Any:
        await ctx.sleep(0.1)
        return await ctx.step("act", act, input, retry=ONCE)

    @workflow("maps")
    async def parent(ctx: Context, input: Any) -> Any:
        failed = [one async for window in ctx.each("mapped", list(range(10)), width=4) for one in window.failed]
        numbers = [one.number for one in failed]
        again = [w.succeeded async for w in ctx.each("mapped", numbers, numbers=numbers, width=4)]
        return [[[one.number, one.message] for one in failed], again]

    run_id = queue("maps")
    run = until(run_id)
    assert run.output == [[[3, "broken"]], [1]]
    assert executed == {**dict.fromkeys(range(10), 1), 3: 2}
    # The parent was woken once for each window, and nothing is left of what its sub-runs told it.
    told = Counter(kinds(run_id))
    assert (told["run_started"], told["run_waiting"]) == (5, 4)
    assert not Inbox.objects.filter(run_id=run_id, consumed_at=None).exists()
    children = {child.parent_key: child.output for child in Run.objects.filter(parent_id=run_id)}
    assert children == {
        **{f"each:mapped#0/{n:06d}/call": 2 * n for n in range(10) if n != 3},
        "each:mapped#0/000003/call": None,
        "each:mapped#1/000003/call": 6,
    }


def test_a_cancelled_map_is_retried_with_its_open_window(driver: RunningDriver, queue: Callable[..., UUID]) -> None:
    is_held = True

    @workflow("mapped")
    async def child(ctx: Context, input: Any) -> Any:
        if is_held and input == 5:
            await ctx.sleep(3600)
        return input

    @workflow("maps")
    async def parent(ctx: Context, input: Any) -> Any:
        return [list(window.numbers) async for window in ctx.each("mapped", list(range(8)), width=4)]

    run_id = queue("maps")
    wait_for(lambda: Run.objects.filter(parent_id=run_id, status="succeeded").count() == 7, "all but one to end")
    control.cancel(run_id, by="tester")
    until(run_id, "cancelled")
    is_held = False
    # Only what the open window started runs again, also those that had ended.
    assert preview_retry(Run.objects.get(pk=run_id)).sub_runs == 4
    assert retrying.retry(run_id, by="tester") == ["each:mapped#0/window#1"]
    assert until(run_id).output == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert Run.objects.filter(parent_id=run_id).count() == 12
