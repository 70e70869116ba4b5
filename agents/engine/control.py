"""What others do to a run that they don't hold: tell it something, cancel, pause and resume it (retry: retrying.py).

While a run has a worker, only a flag, a message and a wake are written, and the worker carries it out. A run without a
worker is moved here, under the lock of its row. Each function is one short transaction of Django's ORM.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q, QuerySet

from agents.engine.canonical import JSON, decode, encode, recorded
from agents.engine.database_clock import database_now
from agents.engine.interest import tell_of_end
from agents.engine.journal.transitions import child_outcome, is_due, met
from agents.engine.notify import announce
from agents.engine.ranking import next_rank
from agents.engine.records import ON_CANCEL, WaitRecord
from agents.engine.registry import cancel_handler
from agents.engine.turns import ITS_TURN
from agents.models import ENDED, Inbox, ProcessCall, Run, RunEvent, RunStatus, Step, StepStatus, Wait, WaitKind, Wanted

NOT_BEFORE = "not_before"
"""Name of the timer of a run that was accepted for later."""


class CannotDo(Exception):
    """The run's state does not allow it; the message says why."""


def tell(run_id: UUID, name: str, data: JSON, *, token: str = "") -> bool:
    """Send a run a message for one of its steps; a token that came before changes nothing. False if it has ended."""
    with transaction.atomic():
        run = lock(run_id)
        if run.status in ENDED:
            return False
        _, is_new = Inbox.objects.get_or_create(
            run_id=run_id, token=token or uuid4().hex, defaults={"name": name, "data": data}
        )
        if is_new:
            _wake(run, [name])
    return True


def cancel(run_id: UUID, *, by: str) -> bool:
    """Cancel a run and all runs below it. False if it had ended already."""
    changed = cancel_alone(run_id, by=by)
    cancel_below(run_id, by=by)
    return changed


def cancel_alone(run_id: UUID, *, by: str) -> bool:
    """Cancel a run; whoever calls this sees to those below it. False if it had ended already."""
    with transaction.atomic():
        return _cancel_one(lock(run_id), by)


def cancel_below(run_id: UUID, *, by: str) -> None:
    """Cancel all runs below a run. Looks again until none is left: a sub-run may be queued meanwhile."""
    parents = [run_id]
    while parents:
        children = list(
            Run.objects.filter(parent_id__in=parents)
            .exclude(status__in=ENDED)
            .exclude(wanted=Wanted.CANCEL)
            .exclude(parent_key=ON_CANCEL)
            .order_by("id")
            .values_list("id", flat=True)[:500]
        )
        if not children:
            # Also below those that have ended: they may have let go of sub-runs that still go on.
            below = Run.objects.filter(parent_id__in=parents).exclude(parent_key=ON_CANCEL)
            parents = list(below.values_list("id", flat=True))
            continue
        for child in children:
            with transaction.atomic():
                _cancel_one(lock(child), by)


def cancel_left_over() -> int:
    """Cancel the sub-runs of cancelled runs that go on because their canceller died before it came to them.

    Gives the number of runs below which some were left.
    """
    active = Run.objects.exclude(wanted=Wanted.CANCEL).exclude(parent_key=ON_CANCEL).order_by()
    left = active.filter(parent__status=RunStatus.CANCELLED)
    # One question per status: each has an index, all runs together have none.
    waiting = Run.objects.filter(pk__in=Wait.objects.values("run_id"), status=RunStatus.WAITING)
    parents = {
        *left.filter(status=RunStatus.RUNNING).values_list("parent_id", flat=True),
        *left.filter(status=RunStatus.QUEUED).values_list("parent_id", flat=True),
        *left.filter(pk__in=waiting.values("pk")).values_list("parent_id", flat=True),
    }
    for parent_id in sorted(parents):
        cancel_below(parent_id, by="its parent")
    return len(parents)


def pause(run_id: UUID, *, by: str) -> None:
    """Let a run start no more steps until it is resumed; raises CannotDo for an ended or paused one."""
    with transaction.atomic():
        run = lock(run_id)
        if run.status in ENDED:
            raise CannotDo(f"The run has {run.status}; only a run that goes on can be paused.")
        if _is_paused(run) or run.wanted == Wanted.PAUSE:
            raise CannotDo("The run is paused already.")
        if run.wanted == Wanted.CANCEL:
            raise CannotDo("The run is being cancelled.")
        if run.status == RunStatus.RUNNING:
            _ask(run, Wanted.PAUSE, "run_pause_requested", by)
            return
        Wait.objects.create(run_id=run.id, kind=WaitKind.PAUSED)
        run.status, run.reason = RunStatus.WAITING, "paused"
        log(run, "run_paused", {"by": by, "reason": "paused"})
        save(run)


def resume(run_id: UUID, *, by: str) -> None:
    """Let a paused run go on; raises CannotDo for one that is not paused."""
    with transaction.atomic():
        run = lock(run_id)
        if run.status == RunStatus.RUNNING and run.wanted == Wanted.PAUSE:
            run.wanted = Wanted.NONE
            run.wakes += 1
            Inbox.objects.create(run_id=run.id, name="log", token=uuid4().hex, data=["run_resumed", {"by": by}])
            save(run)
            return
        if run.status == RunStatus.QUEUED and run.wanted == Wanted.PAUSE:
            # Its worker died before it could pause.
            run.wanted, run.reason = Wanted.NONE, "resumed"
        elif _is_paused(run):
            _end_pause(run)
        else:
            raise CannotDo(f"The run is {run.status}, not paused.")
        log(run, "run_resumed", {"by": by})
        save(run)


def _cancel_one(run: Run, by: str) -> bool:
    if run.status in ENDED:
        return False
    if run.status == RunStatus.RUNNING:
        if run.wanted != Wanted.CANCEL:
            _ask(run, Wanted.CANCEL, "run_cancel_requested", by)
        return True
    Wait.objects.filter(run_id=run.id).delete()
    _drop_calls(run)
    run.status, run.reason, run.finished_at = RunStatus.CANCELLED, "cancelled", database_now()
    log(run, "run_cancel_requested", {"by": by})
    log(run, "run_cancelled", {})
    save(run)
    tell_of_end(run)
    _tell_parent(run)
    _make_good(run)
    return True


def end_as_failed(run: Run, error: dict[str, JSON]) -> None:
    """End a run that no worker has (any more), under the lock of its row; its open steps were interrupted."""
    now = database_now()
    _interrupt(Step.objects.filter(run_id=run.id))
    ProcessCall.objects.filter(run_id=run.id).delete()
    Wait.objects.filter(run_id=run.id).delete()
    log(run, "run_failed", {"error": error})
    run.status, run.reason, run.error = RunStatus.FAILED, f"failed: {error['message']}"[:300], error
    run.worker_id, run.wanted, run.finished_at, run.suspect = None, Wanted.NONE, now, False
    run.epoch += 1
    save(run)
    tell_of_end(run)
    _tell_parent(run, error=error)


def _drop_calls(run: Run) -> None:
    """End the processes that work for a run: whoever sees to them finds their rows gone."""
    if keys := list(ProcessCall.objects.filter(run_id=run.id).values_list("key", flat=True)):
        ProcessCall.objects.filter(run_id=run.id).delete()
        _interrupt(Step.objects.filter(run_id=run.id, key__in=keys))


def _interrupt(steps: QuerySet[Step]) -> None:
    """Say of those steps that still run that their run has ended."""
    now = database_now()
    running = steps.filter(status=StepStatus.RUNNING, superseded=False)
    interrupted: Any = {"type": "Interrupted", "message": "The run ended while this step was running."}
    running.filter(effect="unsafe").update(status=StepStatus.UNKNOWN, finished_at=now, error=interrupted)
    running.update(status=StepStatus.INTERRUPTED, finished_at=now, error=interrupted)


def _make_good(run: Run) -> None:
    """Queue the handler that the run's workflow declares for a cancel."""
    handler = cancel_handler(run.workflow)
    if not handler:
        return
    now = database_now()
    child = Run(
        workspace_id=run.workspace_id,
        agent_version_id=run.agent_version_id,
        workflow=handler,
        parent_id=run.id,
        parent_key=ON_CANCEL,
        root_id=run.root_id or run.id,
        depth=run.depth + 1,
        input={"run": str(run.id), "input": run.input},
        tainted=run.tainted,
        tools=run.tools,
        budget=run.budget,
        priority=run.priority,
        rank=next_rank(run.workspace_id, now, run.priority),
        source="run",
        created_at=now,
    )
    log(child, "run_queued", {"by": "cancel"})
    child.save(force_insert=True)


def _tell_parent(run: Run, error: JSON = None) -> None:
    if run.parent_id is None:
        return
    parent = Run.objects.select_for_update(no_key=True).filter(pk=run.parent_id).first()
    if parent is None:
        return
    data = decode(child_outcome(run.status, None, encode(error) if error else None, tainted=run.tainted))
    Inbox.objects.get_or_create(run_id=parent.id, token=str(run.id), defaults={"name": run.parent_key, "data": data})
    if parent.status not in ENDED:
        _wake(parent, [run.parent_key])


def _ask(run: Run, wanted: Wanted, kind: str, by: str) -> None:
    """Ask the worker of a running run; it also writes the log entry, as only it may."""
    run.wanted = wanted
    run.wakes += 1
    run.reason = "stopping" if wanted == Wanted.CANCEL else "pausing"
    Inbox.objects.create(run_id=run.id, name="log", token=uuid4().hex, data=[kind, {"by": by}])
    save(run)


def _wake(run: Run, names: Iterable[str]) -> None:
    run.wakes += 1
    if run.status == RunStatus.WAITING:
        waits = list(Wait.objects.filter(run_id=run.id))
        left = [met(wait_record(wait), names) for wait in waits]
        if is_due(left):
            Wait.objects.filter(run_id=run.id).delete()
            run.status, run.reason = RunStatus.QUEUED, "woken"
            log(run, "run_woken", {"by": "message"})
        else:
            for wait, record in zip(waits, left, strict=True):
                if record.needed != wait.needed:
                    Wait.objects.filter(pk=wait.pk).update(needed=record.needed)
    save(run)


def wait_record(wait: Wait) -> WaitRecord:
    """Give a wait as the pure functions of the transitions take it."""
    return WaitRecord(
        kind=wait.kind,  # type: ignore[arg-type]  # the column's CHECK holds it to these kinds
        key=wait.key,
        name=wait.name,
        due_at=wait.due_at,
        needed=wait.needed,
    )


def lock(run_id: UUID) -> Run:
    """Lock the row of a run until the transaction ends, and read it."""
    return Run.objects.select_for_update(no_key=True).get(pk=run_id)


def _end_pause(run: Run) -> None:
    """Queue a paused run: by its replay it finds out what it still waits for.

    One that never began keeps its time, or its turn.
    """
    waits = Wait.objects.filter(run_id=run.id)
    is_early = Q(name=NOT_BEFORE, due_at__gt=database_now()) | Q(kind=WaitKind.TURN)
    if (early := waits.filter(is_early).first()) is not None:
        waits.filter(kind=WaitKind.PAUSED).delete()
        run.reason = f"waiting until {early.due_at:%Y-%m-%d %H:%M:%S} UTC" if early.due_at else ITS_TURN
        return
    waits.delete()
    run.status, run.reason = RunStatus.QUEUED, "resumed"


def _is_paused(run: Run) -> bool:
    return run.status == RunStatus.WAITING and Wait.objects.filter(run_id=run.id, kind=WaitKind.PAUSED).exists()


def note(run: Run, kind: str, data: JSON) -> None:
    """Write to the log of a run, under the lock of its row; if it has a worker, leave that to it."""
    if run.status == RunStatus.RUNNING:
        run.wakes += 1
        Inbox.objects.create(run_id=run.id, name="log", token=uuid4().hex, data=[kind, recorded(data)])
    else:
        log(run, kind, data)
    save(run)


def log(run: Run, kind: str, data: JSON) -> None:
    """Write to the log of a run without a worker, under the lock of its row; the caller saves the run."""
    run.last_event += 1
    RunEvent.objects.create(
        run_id=run.id, number=run.last_event, kind=kind, at=database_now(), data=decode(encode(data))
    )


def save(run: Run) -> None:
    """Write what people, and those who act for them, change of a run; tell who listens."""
    fields = ("status", "reason", "wanted", "wakes", "last_event", "error", "finished_at", "suspect", "crashes")
    run.save(update_fields=(*fields, "worker", "epoch", "deadline_at"))
    announce(queue=True, live=True)
