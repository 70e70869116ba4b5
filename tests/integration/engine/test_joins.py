"""One of several sub-runs fails: it alone is done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.engine import Context, Retry, control, workflow
from agents.models import Inbox, Run
from tests.driving import RunningDriver, kinds, until

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
    assert control.retry(run_id, by="tester") == ["gather#0/2/call:joined-child#0"]
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
