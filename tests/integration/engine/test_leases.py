"""Who is alive and who holds what; whatever the clock of the application says."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import time_machine
from django.db import connection, transaction

from agents.engine import Context, database_clock, leases, queueing, reaping, waking, workflow
from agents.engine.connecting import postgres_parameters
from agents.models import Partial, Run, RunEvent, Wait, Worker, Workspace
from agents.models.worker import WorkerState
from tests.driving import PATIENCE, RunningDriver, kinds, steps_of, until, wait_for
from tests.factories import make_run, make_worker

Queue = Callable[..., UUID]
StartDriver = Callable[..., RunningDriver]


def registered(**options: Any) -> Worker:
    return leases.register_worker(**{"queue": "runs", "slots": 5, "lease": 8.0, **options})


def held_by(worker: Worker, workspace: Workspace, **fields: Any) -> Run:
    return make_run(workspace, **{"status": "running", "worker": worker, "epoch": 3, **fields})


def refreshed(run: Run) -> tuple[str, int, int | None]:
    run.refresh_from_db()
    return run.status, run.epoch, run.worker_id


def test_a_living_worker_keeps_its_runs(workspace: Workspace) -> None:
    worker = registered()
    run = held_by(worker, workspace)
    assert reaping.reap() == 0
    assert leases.heartbeat(worker.pk, busy=1)
    assert refreshed(run) == ("running", 3, worker.pk)


def test_a_session_that_hangs_in_mid_batch_is_ended_before_its_workers_lease_is_over(workspace: Workspace) -> None:
    if connection.vendor == "sqlite":
        return  # There is no server that could hold a lock for somebody who is gone.
    worker = registered(lease=8.0)
    row = Worker.objects.filter(pk=worker.pk)
    row.update(seen=database_clock.database_seconds() - 3)

    def is_free() -> bool:
        reaping.reap()
        with transaction.atomic():
            return row.select_for_update(skip_locked=True).exists()

    with (
        suppress(psycopg.Error),
        psycopg.connect(**postgres_parameters("journal"), autocommit=True) as cut_off,
        cut_off.pipeline(),
    ):
        cut_off.execute("BEGIN")
        assert cut_off.execute("UPDATE agents_worker SET batch=1 WHERE id=%s RETURNING id", [worker.pk]).fetchone()
        assert not is_free()
        wait_for(is_free, "its locks to be gone")
    worker.refresh_from_db()
    assert (worker.state, worker.batch) == (WorkerState.ALIVE, 0)


def test_a_silent_worker_loses_its_runs_once(workspace: Workspace) -> None:
    worker = registered(lease=8.0)
    run, queued = held_by(worker, workspace), make_run(workspace, status="queued", epoch=1)
    Worker.objects.filter(pk=worker.pk).update(seen=database_clock.database_seconds() - 9)
    assert reaping.reap(silent_too=False) == 0
    assert reaping.reap() == 1
    assert refreshed(run) == ("queued", 4, None)
    assert refreshed(queued)[1] == 1
    assert kinds(run.pk) == ["run_queued"]
    worker.refresh_from_db()
    assert worker.state == WorkerState.DEAD
    assert leases.heartbeat(worker.pk, busy=1) is False
    assert reaping.reap() == 0


def test_a_vanished_process_is_noticed_at_once(workspace: Workspace) -> None:
    worker = registered()
    Worker.objects.filter(pk=worker.pk).update(pid_start=worker.pid_start - 1)  # its pid is another process's now
    run = held_by(worker, workspace)
    elsewhere = registered()
    Worker.objects.filter(pk=elsewhere.pk).update(pid=999_999_999, host_id="another machine:1")
    far = held_by(elsewhere, workspace)
    reaping.reap(silent_too=False)
    assert refreshed(run) == ("queued", 4, None)
    # Of another machine's processes nothing is known but their heartbeat. (SQLite: its file has one machine only.)
    expected = "running" if connection.vendor == "postgresql" else "queued"
    assert refreshed(far)[0] == expected


def test_a_heartbeat_that_comes_just_before_the_reaper_wins(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = registered()
    run = held_by(worker, workspace)
    Worker.objects.filter(pk=worker.pk).update(seen=database_clock.database_seconds() - 9)
    stock = reaping._declare_dead

    def late(silent: Worker) -> bool:
        assert leases.heartbeat(worker.pk, busy=1)
        return stock(silent)

    monkeypatch.setattr(reaping, "_declare_dead", late)
    assert reaping.reap() == 0
    assert refreshed(run) == ("running", 3, worker.pk)


def test_runs_of_the_dead_are_found_even_if_their_reaper_died(workspace: Workspace) -> None:
    run = held_by(make_worker(state=WorkerState.DEAD), workspace)
    gone = make_worker()
    orphan = held_by(gone, workspace)
    gone.delete()
    assert reaping.reap() == 2
    assert refreshed(run)[:2] == refreshed(orphan)[:2] == ("queued", 4)


def test_more_runs_than_one_batch_are_queued(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "BATCH", 3)
    worker = make_worker(state=WorkerState.DEAD)
    runs = [held_by(worker, workspace) for _ in range(8)]
    assert reaping.reap() == 8
    assert {refreshed(run) for run in runs} == {("queued", 4, None)}


def test_gives_back_only_what_it_was_asked_to(workspace: Workspace) -> None:
    worker, other = registered(), registered()
    lost, kept, foreign = held_by(worker, workspace), held_by(worker, workspace), held_by(other, workspace)
    assert set(leases.held_runs(worker.pk)) == {lost.pk, kept.pk}
    assert leases.release_runs(worker.pk, [lost.pk, foreign.pk]) == 1
    assert [refreshed(run)[0] for run in (lost, kept, foreign)] == ["queued", "running", "running"]


def test_a_worker_that_takes_leave_gives_everything_back(workspace: Workspace) -> None:
    worker = registered()
    run = held_by(worker, workspace)
    leases.start_draining(worker.pk)
    assert reaping.reap() == 0
    leases.stop_worker(worker.pk)
    assert refreshed(run) == ("queued", 4, None)
    worker.refresh_from_db()
    assert (worker.state, worker.busy) == (WorkerState.STOPPED, 0)


def parked(workspace: Workspace, **wait: Any) -> Run:
    run = make_run(workspace, status="waiting", epoch=1)
    Wait.objects.create(run=run, **wait)
    return run


def test_wakes_what_is_due(workspace: Workspace) -> None:
    now = database_clock.database_now()
    due = parked(workspace, kind="timer", due_at=now - timedelta(seconds=1))
    Wait.objects.create(run=due, kind="child", key="call:x#0")
    later = parked(workspace, kind="timer", due_at=now + timedelta(seconds=60))
    sweep = waking.wake_due()
    assert sweep.queued == 1
    assert sweep.next_due == pytest.approx(60, abs=5)
    assert refreshed(due)[0] == "queued"
    assert refreshed(later)[0] == "waiting"
    assert kinds(due.pk) == ["run_woken"]
    assert not Wait.objects.filter(run=due).exists()
    assert waking.wake_due().queued == 0


def test_a_due_timer_leaves_a_paused_run_paused(workspace: Workspace) -> None:
    run = parked(workspace, kind="timer", due_at=database_clock.database_now() - timedelta(seconds=1))
    Wait.objects.create(run=run, kind="paused")
    for _ in range(2):
        assert waking.wake_due() == waking.Sweep(0, None)
    assert refreshed(run)[0] == "waiting"
    assert sorted(Wait.objects.values_list("kind", "needed")) == [("paused", 1), ("timer", 0)]


def test_a_stale_wait_of_a_run_that_goes_on_is_dropped(workspace: Workspace) -> None:
    run = held_by(registered(), workspace)
    Wait.objects.create(run=run, kind="timer", due_at=database_clock.database_now() - timedelta(seconds=1))
    assert waking.wake_due().queued == 0
    assert not Wait.objects.exists()
    assert refreshed(run)[0] == "running"


def test_many_due_runs_are_woken_in_batches(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "BATCH", 3)
    due_at = database_clock.database_now() - timedelta(seconds=1)
    runs = [parked(workspace, kind="timer", due_at=due_at) for _ in range(8)]
    assert waking.wake_due().queued == 8
    assert {refreshed(run)[0] for run in runs} == {"queued"}


def test_wakes_for_workflows_but_not_the_paused(workspace: Workspace) -> None:
    known = parked(workspace, kind="worker", name="known")
    unknown = parked(workspace, kind="worker", name="unknown")
    paused = parked(workspace, kind="worker", name="known")
    Wait.objects.create(run=paused, kind="paused")
    assert waking.wake_for_workflows(["known"]) == 1
    assert [refreshed(run)[0] for run in (known, unknown, paused)] == ["queued", "waiting", "waiting"]
    assert Wait.objects.filter(run=paused, kind="paused").exists()


def test_many_paused_runs_do_not_keep_others_from_their_workflow(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "BATCH", 3)
    first = parked(workspace, kind="worker", name="known")
    for _ in range(3):
        Wait.objects.create(run=parked(workspace, kind="worker", name="known"), kind="paused")
    last = parked(workspace, kind="worker", name="known")
    assert waking.wake_for_workflows(["known"]) == 2
    assert [refreshed(run)[0] for run in (first, last)] == ["queued", "queued"]


def test_forgets_the_long_gone(workspace: Workspace) -> None:
    gone = make_worker(state="stopped", stopped_at=database_clock.database_now() - timedelta(days=2))
    recent = make_worker(state="dead", stopped_at=database_clock.database_now())
    ended = make_run(workspace, status="succeeded")
    living = make_run(workspace)
    for run in (ended, living):
        Partial.objects.create(run=run, key="think#0", attempt=1, number=1, text="x")
    leases.forget()
    assert set(Worker.objects.values_list("pk", flat=True)) == {recent.pk}
    assert gone.pk != recent.pk
    assert [partial.run_id for partial in Partial.objects.all()] == [living.pk]


@pytest.mark.fault(10)
@pytest.mark.parametrize("minutes", [-5, 5])
def test_an_application_clock_that_is_off_steals_no_lease(workspace: Workspace, minutes: int) -> None:
    worker = registered()
    run = held_by(worker, workspace)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes), tick=True):
        assert reaping.reap() == 0
        assert leases.heartbeat(worker.pk, busy=1)
        other = registered()
    assert reaping.reap() == 0
    assert leases.heartbeat(other.pk, busy=0)
    assert refreshed(run) == ("running", 3, worker.pk)


@pytest.mark.fault(10)
@pytest.mark.parametrize("minutes", [-5, 5])
def test_runs_go_on_under_an_application_clock_that_is_off(
    workspace: Workspace, queue: Queue, start_driver: StartDriver, minutes: int
) -> None:
    """Timers are judged by the database's time: neither at once nor five minutes late."""

    @workflow("off-clock")
    async def flow(ctx: Context, input: Any) -> Any:
        await ctx.step("first", os.getpid)
        await ctx.sleep(0.3)
        return await ctx.step("last", lambda: 1)

    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes), tick=True):
        start_driver()
        run_id = queue("off-clock")
        run = until(run_id)
        assert run.output == 1
        sleep = steps_of(run_id)["sleep#0"]
        assert sleep.finished_at is not None
        assert 0.3 <= (sleep.finished_at - sleep.started_at).total_seconds() < 10
        assert Worker.objects.filter(state=WorkerState.ALIVE).count() == 1


def test_a_driver_declared_dead_writes_nothing_more_and_starts_anew(queue: Queue, start_driver: StartDriver) -> None:
    """As after a SIGSTOP past the lease: its runs are others' by now."""
    began, release = threading.Event(), threading.Event()
    times: list[int] = []

    def act() -> int:
        times.append(1)
        began.set()
        release.wait(PATIENCE)
        return len(times)

    @workflow("stopped")
    async def flow(ctx: Context, input: Any) -> Any:
        return await ctx.step("act", act)

    driver = start_driver(heartbeat=0.3)
    old = driver.worker_id
    run_id = queue("stopped")
    assert began.wait(PATIENCE)
    began.clear()
    Worker.objects.filter(pk=old).update(state=WorkerState.DEAD)
    reaping.reap(silent_too=False)  # or the driver itself does, before it finds out
    assert began.wait(PATIENCE), "nobody took the run over"
    release.set()
    run = until(run_id)
    assert run.status == "succeeded"
    assert len(times) == 2
    wait_for(lambda: driver.worker_id != old, "the driver to register anew")
    assert RunEvent.objects.filter(run_id=run_id, kind="run_succeeded").count() == 1
    kinds(run_id)


def test_a_claim_nobody_knows_of_is_given_back(start_driver: StartDriver, workspace: Workspace) -> None:
    @workflow("unclaimed")
    async def flow(ctx: Context, input: Any) -> Any:
        return 1

    driver = start_driver(heartbeat=0.1)
    run = make_run(workspace, workflow="unclaimed")
    Run.objects.filter(pk=run.pk).update(status="running", worker_id=driver.worker_id, epoch=1)
    assert until(run.pk).output == 1
    wait_for(lambda: driver.runs == 0)


def test_a_worker_that_is_told_to_stop_while_it_registers_takes_leave(
    start_driver: StartDriver, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, stopped = threading.Event(), threading.Event()
    register = leases.register_worker

    def slowly(**options: Any) -> Worker:
        began.set()
        assert stopped.wait(PATIENCE)
        return register(**options)

    monkeypatch.setattr(leases, "register_worker", slowly)
    driver = start_driver()
    assert began.wait(PATIENCE)
    threading.Timer(0.3, stopped.set).start()
    driver.stop()
    assert Worker.objects.get().state == WorkerState.STOPPED
