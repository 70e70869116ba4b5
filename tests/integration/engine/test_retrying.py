"""Retries of ended runs by a person; with a real driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.engine import Context, control, retrying, workflow
from agents.models import Inbox, Run, Step, Wait, Workspace
from tests.driving import RunningDriver, kinds, steps_of, until, wait_for
from tests.factories import make_run, make_worker
from tests.gates import GatedWorld

Queue = Callable[..., UUID]


def test_retries_the_failed_step_and_keeps_its_siblings(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("siblings")
    async def flow(ctx: Context, input: Any) -> Any:
        async def branch(n: int) -> Any:
            await ctx.step("before", world.act, f"before{n}")
            if n == 1:
                return await ctx.step("fails", world.fail, "fails")
            return await ctx.step("after", world.act, f"after{n}")

        await ctx.step("first", world.act, "first")
        found = await ctx.gather(*(branch(n) for n in range(3)))
        return [*found, await ctx.step("last", world.act, "last")]

    run_id = queue("siblings")
    run = until(run_id)
    assert (run.status, run.error["step"]) == ("failed", "gather#0/1/fails#0")
    before = list(world.done)
    world.fails = False
    assert retrying.retry(run_id, by="tester") == ["gather#0/1/fails#0"]
    run = until(run_id)
    assert run.output == ["after0", "fails", "after2", "last"]
    assert world.done == [*before, "fails", "last"]
    assert run.error is None
    assert [step.key for step in Step.objects.filter(run=run, superseded=True)] == ["gather#0/1/fails#0"]
    told = kinds(run_id)
    assert told.index("run_failed") < told.index("run_retried") < told.index("run_succeeded")
    with pytest.raises(control.CannotDo):
        retrying.retry(run_id, by="tester")


def test_retries_a_cancelled_run_and_calls_its_sub_run_anew(
    driver: RunningDriver, queue: Queue, world: GatedWorld
) -> None:
    is_quick = False

    @workflow("called")
    async def called(ctx: Context, input: Any) -> Any:
        await ctx.sleep(0 if is_quick else 3600)
        return "called"

    @workflow("caller")
    async def caller(ctx: Context, input: Any) -> Any:
        await ctx.step("first", world.act, 1)
        return await ctx.call("called")

    run_id = queue("caller")
    until(run_id, "waiting")
    wait_for(lambda: Run.objects.filter(parent_id=run_id, status="waiting").exists(), "the sub-run to sleep")
    control.cancel(run_id, by="tester")
    is_quick = True
    retrying.retry(run_id, by="tester")
    run = until(run_id)
    assert (run.status, run.output) == ("succeeded", "called")
    assert world.done == [1]
    assert Run.objects.filter(parent_id=run_id).count() == 2


def test_a_retry_right_after_a_cancel_does_not_wait_for_what_is_still_stopping(workspace: Workspace) -> None:
    run = make_run(workspace, status="cancelled", epoch=1)
    Step.objects.create(run=run, key="call:x#0", kind="call", name="x", started_at=run.created_at, status="running")
    make_run(workspace, status="running", wanted="cancel", parent=run, parent_key="call:x#0")
    retrying.retry(run.pk, by="tester")
    assert not steps_of(run.pk)


def test_a_sub_run_is_retried_only_while_its_end_is_unread(workspace: Workspace) -> None:
    parent = make_run(workspace, status="waiting", epoch=1)
    Wait.objects.create(run=parent, kind="child", key="gather#0/", needed=1)
    child = make_run(workspace, status="failed", parent=parent, parent_key="gather#0/0/call:x#0")
    told = Inbox.objects.create(run=parent, name=child.parent_key, token=str(child.pk), data={"status": "failed"})
    Run.objects.filter(pk=parent.pk).update(wanted="cancel", status="running", worker=make_worker())
    with pytest.raises(control.CannotDo, match="learned of its end"):
        retrying.retry(child.pk, by="tester")
    Run.objects.filter(pk=parent.pk).update(wanted="", status="waiting", worker=None)
    retrying.retry(child.pk, by="tester")
    child.refresh_from_db()
    assert child.status == "queued"
    # Its next end will be told, and counts once.
    assert not Inbox.objects.filter(pk=told.pk).exists()
    assert Wait.objects.get(run=parent).needed == 2
    Run.objects.filter(pk=child.pk).update(status="failed", finished_at=child.created_at)
    with pytest.raises(control.CannotDo):
        retrying.retry(child.pk, by="tester")
