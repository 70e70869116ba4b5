"""What becomes of the runs of workers that are gone or silent."""

from __future__ import annotations

from django.db import connection

from agents.engine.database_clock import database_now, database_seconds
from agents.engine.leases import LIVING, host_id, process_start
from agents.engine.queueing import requeue
from agents.models import Run, RunStatus, Worker, WorkerState


def reap(*, silent_too: bool = True) -> int:
    """Declare vanished workers dead, `silent_too` those whose lease ran out, and queue their runs.

    Gives the number of runs queued.
    """
    now = database_seconds()
    here = host_id()
    for worker in Worker.objects.filter(state__in=LIVING):
        is_gone = worker.host_id == here and process_start(worker.pid) != worker.pid_start
        is_of_another_boot = connection.vendor == "sqlite" and worker.host_id.split(":")[0] != here.split(":")[0]
        is_silent = silent_too and now - worker.seen > worker.lease
        if is_gone or is_of_another_boot or is_silent:
            _declare_dead(worker)
    # Also of those who were declared dead by a reaper that died before it queued their runs.
    orphaned = Run.objects.filter(status=RunStatus.RUNNING).exclude(
        worker_id__in=Worker.objects.filter(state__in=LIVING).values("pk")
    )
    return requeue(orphaned, "worker died")


def _declare_dead(worker: Worker) -> bool:
    # Compare and set: a heartbeat that came meanwhile wins.
    silent = Worker.objects.filter(pk=worker.pk, state__in=LIVING, seen=worker.seen)
    return silent.update(state=WorkerState.DEAD, stopped_at=database_now(), busy=0) == 1
