"""A pause flows down the tree, and so does a resume."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from agents.engine import Context, pausing, workflow
from agents.models import Run, RunStatus, Wait, Workspace
from agents.services.runs import pause_run, resume_run, start_run
from tests.driving import PATIENCE, until, wait_for
from tests.factories import make_run

if TYPE_CHECKING:
    from tests.driving import RunningDriver


def is_paused(run: Run) -> bool:
    return Wait.objects.filter(run_id=run.pk, kind="paused", run__status="waiting").exists()


def test_pausing_a_parent_pauses_all_below_and_resuming_resumes_them(
    driver: RunningDriver, workspace: Workspace
) -> None:
    gate, began = threading.Event(), threading.Event()
    done: list[str] = []

    def work(name: str) -> None:
        began.set()
        assert gate.wait(PATIENCE)
        done.append(name)

    @workflow("leaf")
    async def leaf(ctx: Context, input: Any) -> str:
        await ctx.step("first", work, "first")
        await ctx.step("second", work, "second")
        return "done"

    @workflow("middle")
    async def middle(ctx: Context, input: Any) -> Any:
        return await ctx.call("leaf")

    @workflow("top")
    async def top(ctx: Context, input: Any) -> Any:
        return await ctx.call("middle")

    run = start_run(workspace=workspace, workflow="top", input=None)
    assert began.wait(PATIENCE)
    pause_run(run, by=None)
    gate.set()
    tree = [run, *Run.objects.filter(root=run)]
    assert len(tree) == 3
    wait_for(lambda: all(is_paused(each) for each in tree), "all to be paused")
    assert done == ["first"]
    resume_run(run, by=None)
    assert until(run.pk).output == "done"
    assert done == ["first", "second"]


@pytest.mark.usefixtures("workspace")
def test_what_its_pauser_did_not_come_to_is_paused_later_unless_it_was_resumed() -> None:
    parent = make_run()
    child = make_run(parent.workspace, parent=parent, root=parent, depth=1, status=RunStatus.QUEUED)
    grandchild = make_run(parent.workspace, parent=child, root=parent, depth=2)
    handler = make_run(parent.workspace, parent=parent, parent_key="on_cancel", status=RunStatus.QUEUED)
    assert pausing.pause_left_over() == 0
    pausing.pause_with(parent.pk)
    assert not is_paused(child)
    Wait.objects.create(run=parent, kind="paused")
    assert pausing.pause_left_over() == 1
    assert [is_paused(each) for each in (child, grandchild, handler)] == [True, True, False]
    assert pausing.pause_left_over() == 0
    pausing.resume(parent.pk, by="tester")
    assert [Run.objects.get(pk=each.pk).status for each in (parent, child, grandchild)] == ["queued"] * 3
