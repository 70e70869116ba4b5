"""Whose fault it was that a worker process died: its marks say so, and only crashes of a run that was alone count."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from agents.engine import Context, Retry, StepFailed, control, leases, reaping, retrying, suspects, workflow
from agents.engine.journal import postgres_statements, sqlite_statements
from agents.engine.marks import Marks, MarksFile, blocked_name, mark_of
from agents.engine.scope import Scope, current_scope
from agents.models import Inbox, Run, RunEvent, Step, Worker, Workspace
from tests.driving import kinds, steps_of, until, wait_for
from tests.factories import make_run
from tests.integration.engine.test_leases import Queue, StartDriver, held_by, registered

GONE = 4_000_000
"""No process has this id."""


class Crash:
    """A worker whose process is gone, and the marks that it left."""

    def __init__(self, folder: Path) -> None:
        self.worker = registered()
        Worker.objects.filter(pk=self.worker.pk).update(pid=GONE)
        self.file = MarksFile(folder, self.worker.host_id, GONE, self.worker.pid_start)
        self.marks = Marks.make(self.file.path)
        self.marks.tick()
        self.watched = reaping.Watched(folder)

    def reap(self) -> int:
        return reaping.reap(watched=self.watched)


@pytest.fixture
def crash(tmp_path: Path, workspace: Workspace) -> Crash:
    return Crash(tmp_path)


def state(run: Run) -> tuple[str, bool, int]:
    run.refresh_from_db()
    return run.status, run.suspect, run.crashes


def in_thread(marks: Marks, run: Run, key: str) -> None:
    """Leave a thread's mark as if the process had died in it."""

    scope = Scope("", run.created_at)
    scope.mark = mark_of(run.pk, key)
    current_scope.set(scope)
    seen: list[bytes] = []
    marks.in_thread(lambda: seen.append(bytes(marks.page)))
    current_scope.set(None)
    marks.page[:] = seen[0]


def test_what_was_on_the_processor_and_in_threads_is_suspect(crash: Crash, workspace: Workspace) -> None:
    running, threaded, waiting = (held_by(crash.worker, workspace) for _ in range(3))
    in_thread(crash.marks, threaded, "act#0")
    crash.marks.put(mark_of(running.pk, "think#0"))
    assert crash.reap() == 3
    assert [state(run) for run in (running, threaded)] == [("queued", True, 0)] * 2
    assert state(waiting) == ("queued", False, 0)
    (told,) = RunEvent.objects.filter(run=running, kind="worker_died")
    assert told.data == {"key": "think#0", "how": "killed", "alone": False}
    assert kinds(running.pk) == ["worker_died", "run_queued"]
    assert kinds(waiting.pk) == ["run_queued"]
    assert not crash.file.path.exists()


def test_only_a_crash_while_alone_counts_and_the_third_ends_the_run(tmp_path: Path, workspace: Workspace) -> None:
    parent = make_run(workspace, status="waiting")
    run = make_run(workspace, parent=parent, parent_key="call:x#0")
    Step.objects.create(run=run, key="act#0", kind="step", name="act", started_at=run.created_at, status="running")
    for crashes in (0, 1, 2, 3):
        crash = Crash(tmp_path)
        Run.objects.filter(pk=run.pk).update(status="running", worker=crash.worker)
        crash.marks.put(mark_of(run.pk, "act#0"))
        crash.file.note_exit(-11)
        crash.reap()
        assert state(run)[2] == crashes
    assert state(run)[0] == "failed"
    assert run.error is not None
    assert run.error["type"] == "Poison"
    assert "three times while it ran alone; last seen in the step act#0, killed by SIGSEGV" in run.error["message"]
    assert run.worker_id is None
    assert kinds(run.pk)[-1] == "run_failed"
    assert steps_of(run.pk)["act#0"].status == "interrupted"
    (message,) = Inbox.objects.filter(run=parent)
    assert message.data["status"] == "failed"
    assert message.data["error"]["type"] == "Poison"
    retrying.retry(run.pk, by="a person")
    assert state(run) == ("queued", False, 0)


def test_stops_and_silence_make_nobody_suspect(tmp_path: Path, workspace: Workspace) -> None:
    drained = Crash(tmp_path)
    leases.start_draining(drained.worker.pk)
    first = held_by(drained.worker, workspace, suspect=True)
    drained.marks.put(mark_of(first.pk))
    drained.reap()
    silent = registered()
    second = held_by(silent, workspace, suspect=True)
    Worker.objects.filter(pk=silent.pk).update(seen=0.0)
    reaping.reap(watched=drained.watched)
    assert [state(run) for run in (first, second)] == [("queued", True, 0)] * 2


def test_a_thread_that_is_not_ours_is_blamed_on_what_ran_last(crash: Crash, workspace: Workspace) -> None:
    run = held_by(crash.worker, workspace)
    crash.marks.put(mark_of(run.pk, "act#0"))
    crash.marks.page[64] = 0  # it has left the processor
    crash.file.note_exit(-11)
    crash.reap()
    assert state(run) == ("queued", True, 0)


def test_whoever_was_killed_from_outside_while_nothing_ran_left_no_suspect(crash: Crash, workspace: Workspace) -> None:
    run = held_by(crash.worker, workspace)
    crash.marks.put(mark_of(run.pk, "act#0"))
    crash.marks.page[64] = 0
    crash.file.note_exit(-9)
    crash.reap()
    assert state(run) == ("queued", False, 0)


def test_a_blocked_step_is_told_and_neighbours_in_threads_are_not_blamed(crash: Crash, workspace: Workspace) -> None:
    run, threaded = held_by(crash.worker, workspace), held_by(crash.worker, workspace)
    in_thread(crash.marks, threaded, "act#0")
    crash.marks.put(mark_of(run.pk, "slow#0"))
    crash.marks.tick()
    ident = int.from_bytes(bytes(crash.marks.page[8:16]), "little")
    crash.file.stack_path.write_text(
        'Thread 0x0000000000000001 (most recent call first):\n  File "/x/other.py", line 1 in other\n\n'
        f'Current thread {ident:#018x} (most recent call first):\n  File "/usr/re.py", line 7 in match\n'
        '  File "/x/mine.py", line 5 in slow\n  File "/x/agents/engine/context.py", line 2 in execute\n'
    )
    crash.file.note_block()
    crash.reap()
    assert state(run) == ("queued", True, 0)
    assert state(threaded) == ("queued", False, 0)
    (event,) = RunEvent.objects.filter(run=run, kind="loop_blocked")
    assert event.data["key"] == "slow#0"
    assert "other.py" not in event.data["stack"]
    (message,) = Inbox.objects.filter(run=run)
    assert message.name == blocked_name("slow#0")
    assert message.data["where"] == " in slow (mine.py:5)"


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_block_is_a_failed_attempt_of_its_step(
    workspace: Workspace, queue: Queue, start_driver: StartDriver, is_recorded: bool
) -> None:
    """Whether or not the start of the step had been committed when its worker was killed."""
    calls: list[int] = []

    @workflow("blocked")
    async def flow(ctx: Context, input: Any) -> Any:
        try:
            return await ctx.step("slow", lambda: calls.append(1), retry=Retry(max_attempts=2, first=0.01))
        except StepFailed as failure:
            return failure.type

    run_id = queue("blocked")
    Run.objects.filter(pk=run_id).update(epoch=1, wakes=2)
    for token in "ab":
        Inbox.objects.create(
            run_id=run_id, name=blocked_name("slow#0"), token=token, data={"where": " in slow (a.py:1)", "seconds": 6}
        )
    if is_recorded:
        now = Run.objects.get(pk=run_id).created_at
        Step.objects.create(run_id=run_id, key="slow#0", kind="step", name="slow", started_at=now, status="running")
    start_driver()
    run = until(run_id)
    # Two attempts were blocked, so there is no third.
    assert run.output == "LoopBlocked"
    assert calls == []
    step = steps_of(run_id)["slow#0"]
    assert (step.status, step.attempt) == ("failed", 2)
    assert step.error is not None
    assert "blocked the event loop for 6 s" in step.error["message"]
    assert "plain function" in step.error["message"]
    assert not Inbox.objects.filter(run_id=run_id, consumed_at=None).exists()


def suspect(queue: Queue, name: str) -> UUID:
    with transaction.atomic():  # a worker that is up already must not see it before it is suspect
        run_id = queue(name)
        Run.objects.filter(pk=run_id).update(suspect=True, epoch=1)
    return run_id


def test_a_suspect_runs_alone_until_an_outcome_of_its_is_committed(
    queue: Queue, start_driver: StartDriver, workspace: Workspace
) -> None:
    release = threading.Event()
    seen: list[str] = []

    @workflow("accused")
    async def accused(ctx: Context, input: Any) -> Any:
        await ctx.step("first", release.wait, 10.0)
        seen.append("proven")
        await ctx.sleep(600)

    @workflow("other")
    async def other(ctx: Context, input: Any) -> Any:
        seen.append("other")

    others = [queue("other") for _ in range(3)]
    run_id = suspect(queue, "accused")
    driver = start_driver()
    until(run_id, "running")
    assert driver.driver is not None
    wait_for(lambda: steps_of(run_id), "the step to begin")
    assert driver.runs == 1
    assert {Run.objects.get(pk=id).status for id in others} == {"queued"}
    release.set()
    for id in others:
        until(id)
    assert seen == ["proven", "other", "other", "other"]
    wait_for(lambda: not Run.objects.filter(suspect=True).exists(), "the suspect to be acquitted")


def test_a_worker_that_holds_something_takes_no_suspect_until_it_is_emptied_for_it(
    queue: Queue, start_driver: StartDriver, workspace: Workspace
) -> None:
    @workflow("long")
    async def long(ctx: Context, input: Any) -> Any:
        await ctx.step("wait", asyncio.sleep, 30.0)

    @workflow("accused")
    async def accused(ctx: Context, input: Any) -> Any:
        return 1

    busy = queue("long")
    first = start_driver(suspect_patience=0.3, grace=0.1)
    until(busy, "running")
    wait_for(lambda: first.runs, "the run to be taken")
    run_id = suspect(queue, "accused")
    driver = first.driver
    assert driver is not None
    wait_for(lambda: driver.has_stepped_aside, "the worker to give its runs back")
    wait_for(lambda: Run.objects.get(pk=busy).status == "queued", "the run to be given back")
    assert Run.objects.get(pk=run_id).status == "queued"
    second = start_driver()
    assert until(run_id).output == 1
    control.cancel(busy, by="the test")
    assert second.driver is not None


def test_only_the_newest_worker_steps_aside_and_only_one_at_a_time(workspace: Workspace) -> None:
    make_run(workspace, status="queued", suspect=True)
    trial = make_run(workspace, status="waiting", suspect=True)
    older, newer = registered(), registered()
    patience = suspects.Patience(0.0)
    assert not patience.is_worn_out(older.pk, "runs")
    assert patience.is_worn_out(newer.pk, "runs")

    Run.objects.filter(pk=trial.pk).update(status="running", worker=newer)
    assert patience.is_worn_out(older.pk, "runs"), "the newer one is alone with a suspect"
    trial.delete()
    leases.start_draining(newer.pk)
    assert not patience.is_worn_out(older.pk, "runs")


def test_the_claim_finds_suspects_by_an_index_of_their_own(workspace: Workspace) -> None:
    for _ in range(300):
        make_run(workspace, status="queued")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE agents_run")
            cursor.execute("SET enable_seqscan = off")
            cursor.execute(
                "EXPLAIN SELECT id FROM agents_run WHERE status='queued' AND suspect AND rank >= 0"
                " ORDER BY rank LIMIT 1"
            )
            assert "suspect AND rank >=" in postgres_statements.CLAIM_SUSPECT
        else:
            cursor.execute(
                "EXPLAIN QUERY PLAN SELECT id FROM agents_run WHERE status='queued' AND suspect ORDER BY rank LIMIT 1"
            )
            assert "AND suspect" in sqlite_statements.DUE_SUSPECTS
        plan = str(cursor.fetchall())
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")
    assert "run_suspects" in plan
