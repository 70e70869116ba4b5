"""What others do to runs: cancel, pause, resume; with a real driver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from agents.engine import Context, StepFailed, control, workflow
from agents.models import Inbox, Run, Wait, Worker, Workspace
from tests.driving import PATIENCE, RunningDriver, kinds, status_of, steps_of, until, wait_for
from tests.factories import make_run, make_worker
from tests.gates import GatedWorld

Queue = Callable[..., UUID]
StartDriver = Callable[..., RunningDriver]


def test_cancels_a_run_in_the_middle_of_a_step(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("cancelled")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("first", world.act, 1)
        await ctx.step("slow", world.wait, 2)
        await ctx.step("never", world.act, 3)

    run_id = queue("cancelled")
    assert world.began.wait(PATIENCE)
    assert control.cancel(run_id, by="tester")
    run = until(run_id)
    assert (run.status, run.wanted) == ("cancelled", "")
    world.release.set()
    wait_for(lambda: world.done == [1, 2], "the step's thread to end")
    steps = steps_of(run_id)
    assert {key: step.status for key, step in steps.items()} == {"first#0": "succeeded", "slow#0": "interrupted"}
    told = kinds(run_id)
    assert told[-1] == "run_cancelled"
    assert told.count("run_cancel_requested") == 1
    assert control.cancel(run_id, by="tester") is False


def test_cancels_queued_and_waiting_runs_at_once(queue: Queue, driver: RunningDriver, world: GatedWorld) -> None:
    @workflow("sleeps")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.sleep(3600)

    run_id = queue("sleeps")
    until(run_id, "waiting")
    delayed = queue("sleeps", not_before=timezone.now() + timedelta(hours=1))
    for one in (run_id, delayed):
        control.cancel(one, by="tester")
        assert status_of(one) == "cancelled"
        assert kinds(one)[-2:] == ["run_cancel_requested", "run_cancelled"]
    assert not Wait.objects.exists()


def test_cancels_the_whole_tree_below_an_ended_run_too(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("grandchild")
    async def grandchild(ctx: Context, input: Any) -> Any:
        await ctx.sleep(3600)

    @workflow("lets-go")
    async def lets_go(ctx: Context, input: Any) -> Any:
        await ctx.spawn("grandchild")
        return "let go"

    @workflow("top")
    async def top(ctx: Context, input: Any) -> Any:
        await ctx.call("lets-go")
        await ctx.call("grandchild")

    run_id = queue("top")
    wait_for(lambda: Run.objects.filter(workflow="grandchild", status="waiting").count() == 2, "both to sleep")
    until(run_id, "waiting")
    control.cancel(run_id, by="tester")
    for run in Run.objects.filter(workflow="grandchild"):
        assert until(run.pk).status == "cancelled"
    assert Run.objects.get(workflow="lets-go").status == "succeeded"


def test_a_sub_run_that_is_cancelled_tells_its_parent(driver: RunningDriver, queue: Queue) -> None:
    @workflow("cancelled-child")
    async def child(ctx: Context, input: Any) -> Any:
        await ctx.sleep(3600)

    @workflow("bereft")
    async def parent(ctx: Context, input: Any) -> Any:
        try:
            await ctx.call("cancelled-child")
        except StepFailed as error:
            return error.type

    run_id = queue("bereft")
    until(run_id, "waiting")
    child_run = Run.objects.get(parent_id=run_id)
    until(child_run.pk, "waiting")
    control.cancel(child_run.pk, by="tester")
    assert until(run_id).output == "Cancelled"


def test_pauses_after_the_running_step_and_resumes(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("paused")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("slow", world.wait, 1)
        return await ctx.step("next", world.act, 2)

    run_id = queue("paused")
    assert world.began.wait(PATIENCE)
    control.pause(run_id, by="tester")
    with pytest.raises(control.CannotDo):
        control.pause(run_id, by="tester")
    world.release.set()
    run = until(run_id, "waiting")
    assert "paused" in run.reason
    assert run.wanted == ""
    assert world.done == [1]
    wait_for(lambda: driver.runs == 0, "its slot to be free")
    control.resume(run_id, by="tester")
    assert until(run_id).output == 2
    assert world.done == [1, 2]
    told = kinds(run_id)
    assert [kind for kind in told if "pause" in kind or "resume" in kind] == [
        "run_pause_requested",
        "run_paused",
        "run_resumed",
    ]


def test_a_pause_taken_back_in_time_parks_nothing(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("hesitant")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("slow", world.wait, 1)
        return await ctx.step("next", world.act, 2)

    run_id = queue("hesitant")
    assert world.began.wait(PATIENCE)
    control.pause(run_id, by="tester")
    control.resume(run_id, by="tester")
    world.release.set()
    assert until(run_id).output == 2
    assert "run_paused" not in kinds(run_id)


def test_a_run_that_is_paused_while_its_worker_stops_is_paused(
    start_driver: StartDriver, queue: Queue, world: GatedWorld
) -> None:
    """It waits for a sub-run, so nothing of it is held at a gate: then too it must be possible to resume it."""

    @workflow("sleeper")
    async def sleeper(ctx: Context, input: Any) -> Any:
        await ctx.sleep(600)

    @workflow("paused-in-a-drain")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.gather(ctx.step("slow", world.wait, 1), ctx.call("sleeper", None))

    driver = start_driver(grace=PATIENCE)
    run_id = queue("paused-in-a-drain")
    assert world.began.wait(PATIENCE)
    wait_for(lambda: Run.objects.filter(parent_id=run_id).exists(), "the sub-run")
    stopping = threading.Thread(target=driver.stop)
    stopping.start()
    wait_for(lambda: Worker.objects.get(pk=driver.worker_id).state == "draining", "the drain to begin")
    control.pause(run_id, by="tester")
    world.release.set()
    stopping.join(PATIENCE)
    run = Run.objects.get(pk=run_id)
    assert (run.status, run.wanted) == ("waiting", "")
    assert {wait.kind for wait in Wait.objects.filter(run=run)} == {"child", "paused"}
    control.resume(run_id, by="tester")


@pytest.mark.parametrize(("wanted", "status"), [("pause", "waiting"), ("cancel", "cancelled")])
def test_a_worker_that_does_not_know_the_workflow_heeds_what_is_wanted(
    driver: RunningDriver, workspace: Any, wanted: str, status: str
) -> None:
    """Whoever knew it died before it could."""
    run = make_run(workspace, workflow="of-yesterday", status="queued", wanted=wanted, epoch=1)
    run = until(run.pk, status)
    assert run.wanted == ""
    if wanted == "pause":
        assert {wait.kind for wait in Wait.objects.filter(run=run)} == {"worker", "paused"}
        control.resume(run.pk, by="tester")


def test_a_pause_of_a_run_whose_worker_died_can_be_taken_back(workspace: Any) -> None:
    run = make_run(workspace, status="queued", wanted="pause", epoch=2)
    control.resume(run.pk, by="tester")
    run.refresh_from_db()
    assert (run.status, run.wanted) == ("queued", "")


def test_a_paused_run_stays_paused_whatever_comes(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("busy-child")
    async def child(ctx: Context, input: Any) -> Any:
        return await ctx.step("slow", world.wait, 1)

    @workflow("paused-parent")
    async def parent(ctx: Context, input: Any) -> Any:
        return await ctx.gather(ctx.call("busy-child"), ctx.sleep(0.3))

    run_id = queue("paused-parent")
    until(run_id, "waiting")
    control.pause(run_id, by="tester")
    world.release.set()
    until(Run.objects.get(parent_id=run_id).pk)
    control.tell(run_id, "anything", {"n": 1})
    wait_for(lambda: not Wait.objects.filter(run_id=run_id, due_at__isnull=False).exists(), "its timer to pass")
    run = Run.objects.get(pk=run_id)
    assert (run.status, run.reason) == ("waiting", "paused")
    control.resume(run_id, by="tester")
    assert until(run_id).output == [1, None]


def test_a_delayed_run_that_was_paused_still_waits_for_its_time(driver: RunningDriver, queue: Queue) -> None:
    @workflow("delayed")
    async def flow(ctx: Context, input: Any) -> Any:
        return 1

    run_id = queue("delayed", not_before=timezone.now() + timedelta(hours=1))
    control.pause(run_id, by="tester")
    control.resume(run_id, by="tester")
    run = Run.objects.get(pk=run_id)
    assert run.status == "waiting"
    assert Wait.objects.get(run=run).due_at is not None


def test_what_a_canceller_left_behind_is_cancelled(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_run(workspace, status="waiting", epoch=1)
    Wait.objects.create(run=root, kind="child", key="gather#0/", needed=3)
    running, queued, waiting = (
        make_run(workspace, status=status, parent=root, parent_key=f"gather#0/{i}/call:x#0")
        for i, status in enumerate(("running", "queued", "waiting"))
    )
    Wait.objects.create(run=waiting, kind="event", key="go")
    other = make_run(workspace, status="queued")

    def die(*args: Any, **kwargs: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(control, "cancel_below", die)
        with pytest.raises(SystemExit):
            control.cancel(root.pk, by="tester")
    assert control.cancel_left_over() == 1
    for run in (running, queued, waiting, other):
        run.refresh_from_db()
    assert running.wanted == "cancel"
    assert [run.status for run in (queued, waiting, other)] == ["cancelled", "cancelled", "queued"]
    assert control.cancel_left_over() == 0


def test_cancel_racing_finish_gives_one_end(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("racing")
    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("quick", world.act, input["n"])

    ids = [queue("racing", {"n": n}) for n in range(40)]
    for run_id in ids:
        control.cancel(run_id, by="tester")
    for run_id in ids:
        until(run_id)
        told = kinds(run_id)
        assert sum(kind in ("run_succeeded", "run_cancelled", "run_failed") for kind in told) == 1, told


def test_no_child_is_queued_by_a_run_that_is_cancelled(driver: RunningDriver, queue: Queue, world: GatedWorld) -> None:
    @workflow("never-called")
    async def child(ctx: Context, input: Any) -> Any:
        world.act("child")

    @workflow("cancelled-caller")
    async def parent(ctx: Context, input: Any) -> Any:
        await ctx.step("slow", world.wait, 1)
        await ctx.call("never-called")

    ids = [queue("cancelled-caller") for _ in range(10)]
    assert world.began.wait(PATIENCE)
    threads = [threading.Thread(target=world.release.set)]
    threads += [threading.Thread(target=_cancel, args=[run_id]) for run_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    for run_id in ids:
        until(run_id)
    for run in Run.objects.filter(workflow="never-called"):
        assert until(run.pk).status in ("cancelled", "succeeded")
    assert not Run.objects.active().exists()


def _cancel(run_id: UUID) -> None:
    control.cancel(run_id, by="tester")
    connections.close_all()


def test_a_messages_token_counts_once(workspace: Any) -> None:
    run = make_run(workspace, status="running", worker=make_worker(), epoch=1)
    for _ in range(10):
        assert control.tell(run.pk, "a", 1, token="same")
    run.refresh_from_db()
    assert (run.wakes, Inbox.objects.count()) == (1, 1)
