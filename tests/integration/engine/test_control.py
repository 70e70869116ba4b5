"""What others do to runs: cancel, pause, resume, retry, decide; with a real driver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from agents.engine import Context, NoEffect, Permanent, StepFailed, control, workflow
from agents.models import Inbox, Run, Step, Wait, Worker, Workspace
from agents.services.errors import InvalidInput, NotFound
from agents.services.runs import decide_step
from tests.driving import PATIENCE, RunningDriver, kinds, status_of, steps_of, until, wait_for
from tests.factories import make_run, make_worker

Queue = Callable[..., UUID]
StartDriver = Callable[..., RunningDriver]


class World:
    """What steps do; each waits at its gate until it is opened."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.began = threading.Event()
        self.release = threading.Event()
        self.fails = True

    def act(self, what: Any) -> Any:
        self.done.append(what)
        return what

    def wait(self, what: Any) -> Any:
        self.began.set()
        assert self.release.wait(PATIENCE)
        return self.act(what)

    def fail(self, what: Any) -> Any:
        self.done.append(what)
        if self.fails:
            raise Permanent(f"{what} failed")
        return what


@pytest.fixture
def world(database: None) -> Any:
    world = World()
    yield world
    world.release.set()


def test_cancels_a_run_in_the_middle_of_a_step(driver: RunningDriver, queue: Queue, world: World) -> None:
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


def test_cancels_queued_and_waiting_runs_at_once(queue: Queue, driver: RunningDriver, world: World) -> None:
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


def test_cancels_the_whole_tree_below_an_ended_run_too(driver: RunningDriver, queue: Queue, world: World) -> None:
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


def test_pauses_after_the_running_step_and_resumes(driver: RunningDriver, queue: Queue, world: World) -> None:
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


def test_a_pause_taken_back_in_time_parks_nothing(driver: RunningDriver, queue: Queue, world: World) -> None:
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
    start_driver: StartDriver, queue: Queue, world: World
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


def test_a_paused_run_stays_paused_whatever_comes(driver: RunningDriver, queue: Queue, world: World) -> None:
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


def test_retries_the_failed_step_and_keeps_its_siblings(driver: RunningDriver, queue: Queue, world: World) -> None:
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
    assert control.retry(run_id, by="tester") == ["gather#0/1/fails#0"]
    run = until(run_id)
    assert run.output == ["after0", "fails", "after2", "last"]
    assert world.done == [*before, "fails", "last"]
    assert run.error is None
    assert [step.key for step in Step.objects.filter(run=run, superseded=True)] == ["gather#0/1/fails#0"]
    told = kinds(run_id)
    assert told.index("run_failed") < told.index("run_retried") < told.index("run_succeeded")
    with pytest.raises(control.CannotDo):
        control.retry(run_id, by="tester")


def test_retries_a_cancelled_run_and_calls_its_sub_run_anew(driver: RunningDriver, queue: Queue, world: World) -> None:
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
    control.retry(run_id, by="tester")
    run = until(run_id)
    assert (run.status, run.output) == ("succeeded", "called")
    assert world.done == [1]
    assert Run.objects.filter(parent_id=run_id).count() == 2


def test_a_retry_right_after_a_cancel_does_not_wait_for_what_is_still_stopping(workspace: Workspace) -> None:
    run = make_run(workspace, status="cancelled", epoch=1)
    Step.objects.create(run=run, key="call:x#0", kind="call", name="x", started_at=run.created_at, status="running")
    make_run(workspace, status="running", wanted="cancel", parent=run, parent_key="call:x#0")
    control.retry(run.pk, by="tester")
    assert not steps_of(run.pk)


def test_a_sub_run_is_retried_only_while_its_end_is_unread(workspace: Workspace) -> None:
    parent = make_run(workspace, status="waiting", epoch=1)
    Wait.objects.create(run=parent, kind="child", key="gather#0/", needed=1)
    child = make_run(workspace, status="failed", parent=parent, parent_key="gather#0/0/call:x#0")
    told = Inbox.objects.create(run=parent, name=child.parent_key, token=str(child.pk), data={"status": "failed"})
    Run.objects.filter(pk=parent.pk).update(wanted="cancel", status="running", worker=make_worker())
    with pytest.raises(control.CannotDo, match="learned of its end"):
        control.retry(child.pk, by="tester")
    Run.objects.filter(pk=parent.pk).update(wanted="", status="waiting", worker=None)
    control.retry(child.pk, by="tester")
    child.refresh_from_db()
    assert child.status == "queued"
    # Its next end will be told, and counts once.
    assert not Inbox.objects.filter(pk=told.pk).exists()
    assert Wait.objects.get(run=parent).needed == 2
    Run.objects.filter(pk=child.pk).update(status="failed", finished_at=child.created_at)
    with pytest.raises(control.CannotDo):
        control.retry(child.pk, by="tester")


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


def test_an_unsafe_step_of_unknown_outcome_waits_for_a_person(
    driver: RunningDriver, queue: Queue, world: World
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


def test_a_changed_workflow_waits_for_a_person(driver: RunningDriver, queue: Queue, world: World) -> None:
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
    start_driver: StartDriver, queue: Queue, world: World
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


def test_cancel_racing_finish_gives_one_end(driver: RunningDriver, queue: Queue, world: World) -> None:
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


def test_no_child_is_queued_by_a_run_that_is_cancelled(driver: RunningDriver, queue: Queue, world: World) -> None:
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
