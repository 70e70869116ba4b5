"""Who is alive, and who holds what.

Everything here is short ORM work off the hot path, done by each worker on a thread of its own. All times are the
database's.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef
from django.db.models.expressions import RawSQL

from agents.engine.database_clock import database_now, database_seconds
from agents.engine.queueing import requeue
from agents.models import ENDED, Partial, Run, RunStatus, Worker, WorkerState

LIVING = (WorkerState.ALIVE, WorkerState.DRAINING)
FORGET_AFTER = timedelta(days=1)


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


def register_worker(*, queue: str, slots: int, lease: float, host: str = "") -> Worker:
    """Enter this process among the workers; `host` is what people call this machine, by default its own name."""
    host, pid = host or socket.gethostname(), os.getpid()
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


def wake_worker(worker_id: int) -> bool:
    """Let a worker that took leave count as living again; False if its row can't be used any more."""
    resting = Worker.objects.filter(pk=worker_id, state=WorkerState.STOPPED)
    return resting.update(state=WorkerState.ALIVE, stopped_at=None, seen=database_seconds()) == 1


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
    return requeue(Run.objects.filter(id__in=lost, worker_id=worker_id), "claim lost")


def start_draining(worker_id: int) -> None:
    """Show that this worker takes nothing new."""
    Worker.objects.filter(pk=worker_id, state=WorkerState.ALIVE).update(state=WorkerState.DRAINING)


def stop_worker(worker_id: int) -> None:
    """Take leave: what the worker still holds goes back to the queue."""
    Worker.objects.filter(pk=worker_id, state__in=LIVING).update(
        state=WorkerState.STOPPED, stopped_at=database_now(), busy=0
    )
    requeue(Run.objects.filter(worker_id=worker_id), "worker stopped")


def forget() -> None:
    """Delete what nobody needs any more: rows of workers long gone, streamed text of runs that have ended."""
    gone = Worker.objects.filter(stopped_at__lt=database_now() - FORGET_AFTER)
    gone.exclude(pk__in=Run.objects.filter(status=RunStatus.RUNNING).values("worker_id")).delete()
    # Run by run: a list of all runs that have ended would be long.
    has_ended = Exists(Run.objects.filter(pk=OuterRef("run_id"), status__in=ENDED))
    Partial.objects.filter(has_ended).delete()


@cache
def _version() -> str:
    try:
        return version("agentsite")
    except PackageNotFoundError:
        return ""
