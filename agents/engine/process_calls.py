"""Calls that have a process of their own, as those see them who execute or watch them: rows, each with a token.

A call starts once and is told of once, both by compare-and-set: whoever deletes its row has the last word, and tells
the run in the same transaction. The order of locks is everywhere the run's row before the call's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from agents.engine import call_outcomes, control
from agents.engine.canonical import JSON
from agents.engine.database_clock import database_now
from agents.engine.endings import reason_of
from agents.engine.handover import message_name
from agents.engine.leases import host_id, process_start
from agents.engine.progress import PROGRESS, progress_data
from agents.models import ENDED, ProcessCall, Run, RunStatus, Step, Wait, WaitKind, Wanted, Worker

STARTED = "process_started"
"""Kind of the log's entry about the start of a process."""


@dataclass(frozen=True, slots=True)
class StartedCall:
    """A call that was handed to this worker. `timeout` is in seconds, `memory` in MB."""

    token: UUID
    worker_id: int
    workspace_id: int
    run_id: UUID
    key: str
    attempt: int
    tool: str
    arguments: JSON
    timeout: float
    memory: int
    is_approved: bool
    started_at: datetime


def start(token: UUID, worker: Worker) -> StartedCall | None:
    """Hand a call to a worker, once; None if another has it or had it, or if nobody waits for it any more."""
    with transaction.atomic():
        call = ProcessCall.objects.filter(pk=token).first()
        run = _lock(call.run_id) if call is not None else None
        if call is None or run is None or run.status in ENDED or run.wanted == Wanted.CANCEL:
            return None
        now = database_now()
        free = ProcessCall.objects.filter(pk=token, worker=None)
        if free.update(worker=worker, host=worker.host, started_at=now) != 1:
            return None
        step = Step.objects.filter(run_id=run.id, key=call.key, superseded=False).only("input").get()
        _tell_where(run, call, worker.host)
        control.note(
            run, STARTED, {"key": call.key, "attempt": call.attempt, "host": worker.host, "worker": worker.name}
        )
    return StartedCall(
        token=token,
        worker_id=worker.pk,
        workspace_id=run.workspace_id,
        run_id=run.id,
        key=call.key,
        attempt=call.attempt,
        tool=call.tool,
        arguments=step.input,
        timeout=call.timeout,
        memory=call.memory,
        is_approved=call.is_approved,
        started_at=now,
    )


def is_open(token: UUID) -> bool:
    """Whether a call is waited for: its process runs, or is to."""
    return ProcessCall.objects.filter(pk=token).exists()


def tell_progress(call: StartedCall, text: str, done: float | None) -> None:
    """Log how far a call has come, unless nobody waits for it any more."""
    with transaction.atomic():
        run = _lock(call.run_id)
        if run is not None and _held(call.token, call.worker_id).exists():
            control.note(run, PROGRESS, progress_data(call.key, call.attempt, text, done))


def finish(token: UUID, worker_id: int, told: JSON) -> bool:
    """Tell a call's run what came of it, once. False if it is not this worker's any more: then nothing is told."""
    with transaction.atomic():
        call = _held(token, worker_id).first()
        if call is None or _lock(call.run_id) is None or _held(token, worker_id).delete()[0] != 1:
            return False
        control.tell(call.run_id, message_name(call.key), told, token=str(token))
    return True


def holders() -> set[int | None]:
    """Give the workers, living or not, that have calls in processes."""
    started = ProcessCall.objects.filter(worker__isnull=False).order_by()
    return set(started.values_list("worker_id", flat=True).distinct())


def lose(gone: Collection[int | None]) -> int:
    """Tell of the calls whose worker is dead that their processes are gone; gives how many."""
    lost = list(ProcessCall.objects.filter(worker_id__in=[id for id in gone if id is not None]))
    workers = Worker.objects.in_bulk({call.worker_id for call in lost if call.worker_id is not None})
    return sum(_lose(call, workers.get(call.worker_id or 0)) for call in lost)


def lose_if_gone(token: UUID) -> bool:
    """Tell of a call that its process is gone, if its worker surely is."""
    call = ProcessCall.objects.filter(pk=token, worker__isnull=False).first()
    if call is None or call.worker_id is None:
        return False
    worker = Worker.objects.filter(pk=call.worker_id).first()
    return worker is not None and _is_surely_gone(worker) and _lose(call, worker)


def _lose(call: ProcessCall, worker: Worker | None) -> bool:
    assert call.worker_id is not None
    message = f"The worker on {call.host or 'its machine'} whose process it was is gone."
    settled = None
    if worker is None or not _is_surely_gone(worker):
        # It may only be cut off, and the process at work until its time is over.
        seconds = call.timeout + (worker.lease if worker is not None else 0.0)
        settled = (call.started_at or database_now()) + timedelta(seconds=seconds)
    return finish(call.id, call.worker_id, call_outcomes.died("WorkerDied", message, settled))


def _is_surely_gone(worker: Worker) -> bool:
    return worker.host_id == host_id() and process_start(worker.pid) != worker.pid_start


def _held(token: UUID, worker_id: int) -> QuerySet[ProcessCall]:
    return ProcessCall.objects.filter(pk=token, worker_id=worker_id)


def _lock(run_id: UUID) -> Run | None:
    return Run.objects.select_for_update(no_key=True).filter(pk=run_id).first()


def _tell_where(run: Run, call: ProcessCall, host: str) -> None:
    """Say in the reason of a parked run where its process is; the caller saves the run."""
    if run.status != RunStatus.WAITING:
        return
    own = Wait.objects.filter(run_id=run.id, kind=WaitKind.PROCESS, key=message_name(call.key))
    own.update(name=f"{call.tool} on {host}"[:200])
    run.reason = reason_of([control.wait_record(wait) for wait in Wait.objects.filter(run_id=run.id).order_by("id")])
