"""Who is alive, who holds what, and what becomes of the runs of those who are not.

Everything here is short ORM work off the hot path, done by each worker on a thread of its own. All times are the
database's: PostgreSQL's own clock, on SQLite (one machine) the machine's boot clock.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Min
from django.db.models.expressions import RawSQL

from agents.engine.notify import announce
from agents.models import ENDED, Partial, Run, RunEvent, RunStatus, Wait, WaitKind, Worker, WorkerState

LIVING = (WorkerState.ALIVE, WorkerState.DRAINING)
BATCH = 500
FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did: how many runs it queued, and the seconds until the next timer it knows of."""

    queued: int
    next_due: float | None


def database_seconds() -> float:
    """Give the seconds of the clock by which leases are judged."""
    if connection.vendor == "sqlite":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])


def database_now() -> datetime:
    """Give the time of day by which timers are judged."""
    if connection.vendor == "sqlite":
        return datetime.now(UTC)
    return datetime.fromtimestamp(database_seconds(), UTC)


@cache
def host_id() -> str:
    """Tell machines and containers apart even if they share a name: the boot and the namespace of process ids."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{os.readlink('/proc/self/ns/pid').strip('pid:[]')}"


def process_start(pid: int) -> int | None:
    """Give the start of a living process in clock ticks since boot; None if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def resident_bytes() -> int:
    """Give this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def register_worker(*, queue: str, slots: int, lease: float) -> Worker:
    """Enter this process among the workers."""
    host, pid = socket.gethostname(), os.getpid()
    return Worker.objects.create(
        name=f"{host}:{pid}",
        host=host,
        host_id=host_id(),
        pid=pid,
        pid_start=process_start(pid) or 0,
        queue=queue,
        version=_version(),
        slots=slots,
        lease=lease,
        seen=database_seconds(),
        rss_bytes=resident_bytes(),
    )


def heartbeat(worker_id: int, *, busy: int) -> bool:
    """Renew the lease; False means that others have declared this worker dead."""
    seen: float | RawSQL = time.clock_gettime(time.CLOCK_BOOTTIME)
    if connection.vendor == "postgresql":
        seen = RawSQL("extract(epoch FROM clock_timestamp())", ())
    living = Worker.objects.filter(pk=worker_id, state__in=LIVING)
    return living.update(seen=seen, busy=busy, rss_bytes=resident_bytes(), heartbeat_at=database_now()) == 1


def held_runs(worker_id: int) -> list[UUID]:
    """Give the runs that the tables give to this worker."""
    return list(Run.objects.filter(worker_id=worker_id, status=RunStatus.RUNNING).values_list("id", flat=True))


def release_runs(worker_id: int, lost: Collection[UUID]) -> int:
    """Queue runs that this worker holds without knowing of them."""
    return _requeue(Run.objects.filter(id__in=lost, worker_id=worker_id), "claim lost")


def start_draining(worker_id: int) -> None:
    """Show that this worker takes nothing new."""
    Worker.objects.filter(pk=worker_id, state=WorkerState.ALIVE).update(state=WorkerState.DRAINING)


def stop_worker(worker_id: int) -> None:
    """Take leave: what the worker still holds goes back to the queue."""
    Worker.objects.filter(pk=worker_id, state__in=LIVING).update(
        state=WorkerState.STOPPED, stopped_at=database_now(), busy=0
    )
    _requeue(Run.objects.filter(worker_id=worker_id), "worker stopped")


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
    return _requeue(orphaned, "worker died")


def _declare_dead(worker: Worker) -> bool:
    # Compare and set: a heartbeat that came meanwhile wins.
    silent = Worker.objects.filter(pk=worker.pk, state__in=LIVING, seen=worker.seen)
    return silent.update(state=WorkerState.DEAD, stopped_at=database_now(), busy=0) == 1


def wake_due() -> Sweep:
    """Queue parked runs whose timers are due; tell when the next one is."""
    now = database_now()
    queued = 0
    while True:
        due = list(Wait.objects.filter(due_at__lte=now).values_list("run_id", flat=True)[:BATCH])
        if not due:
            break
        with transaction.atomic():
            runs = Run.objects.select_for_update(skip_locked=True, no_key=True).order_by("id")
            waiting = {run.id: run for run in runs.filter(id__in=set(due)).only("id", "status", "last_event")}
            paused = set(Wait.objects.filter(run_id__in=waiting, kind=WaitKind.PAUSED).values_list("run_id", flat=True))
            ready = [id for id, run in waiting.items() if run.status == RunStatus.WAITING and id not in paused]
            not_waiting = [id for id, run in waiting.items() if run.status != RunStatus.WAITING]
            Wait.objects.filter(run_id__in=[*ready, *not_waiting]).delete()
            # A paused run keeps its timer's place but not its due date: it is woken by its resume.
            Wait.objects.filter(run_id__in=paused, due_at__lte=now).update(due_at=None, needed=0)
            queued += _queue([waiting[id] for id in ready], "run_woken", {"by": "timer"}, "timer")
        if len(waiting) < len(set(due)):
            break
    upcoming = Wait.objects.filter(due_at__isnull=False).aggregate(at=Min("due_at"))["at"]
    return Sweep(queued, (upcoming - now).total_seconds() if upcoming else None)


def wake_for_workflows(names: Iterable[str]) -> int:
    """Queue runs that waited for a worker that knows their workflow."""
    waiting = Wait.objects.filter(kind=WaitKind.WORKER, name__in=list(names)).values_list("run_id", flat=True)[:BATCH]
    ids = list(waiting)
    if not ids:
        return 0
    with transaction.atomic():
        runs = list(
            Run.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(id__in=ids, status=RunStatus.WAITING)
            .exclude(id__in=Wait.objects.filter(kind=WaitKind.PAUSED).values("run_id"))
            .order_by("id")
        )
        Wait.objects.filter(run_id__in=[run.id for run in runs]).delete()
        return _queue(runs, "run_woken", {"by": "worker"}, "its workflow is known here")


def forget() -> None:
    """Delete what nobody needs any more: rows of workers long gone, streamed text of runs that have ended."""
    gone = Worker.objects.filter(stopped_at__lt=database_now() - FORGET_AFTER)
    gone.exclude(pk__in=Run.objects.filter(status=RunStatus.RUNNING).values("worker_id")).delete()
    Partial.objects.filter(run_id__in=Run.objects.filter(status__in=ENDED).values("id")).delete()


def _requeue(runs: object, reason: str) -> int:
    """Queue running runs anew, with the next epoch, so that whoever still writes for them is refused."""
    total = 0
    while True:
        with transaction.atomic():
            chosen = list(
                runs.filter(status=RunStatus.RUNNING)  # type: ignore[attr-defined]  # a queryset of runs
                .select_for_update(skip_locked=True, no_key=True, of=("self",))
                .order_by("id")
                .only("id", "last_event")[:BATCH]
            )
            Run.objects.filter(id__in=[run.id for run in chosen]).update(epoch=F("epoch") + 1)
            total += _queue(chosen, "run_queued", {"reason": reason}, reason)
        if len(chosen) < BATCH:
            return total


def _queue(runs: list[Run], kind: str, data: dict[str, str], reason: str) -> int:
    if not runs:
        return 0
    now = database_now()
    Run.objects.filter(id__in=[run.id for run in runs]).update(
        status=RunStatus.QUEUED, worker_id=None, reason=reason, last_event=F("last_event") + 1
    )
    RunEvent.objects.bulk_create(
        RunEvent(run_id=run.id, number=run.last_event + 1, kind=kind, at=now, data=data) for run in runs
    )
    announce(queue=True, live=True)
    return len(runs)


@cache
def _version() -> str:
    try:
        return version("agentsite")
    except PackageNotFoundError:
        return ""
