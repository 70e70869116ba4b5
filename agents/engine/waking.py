"""Queueing parked runs whose time has come, or for which there is a worker now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Min

from agents.engine.database_clock import database_now
from agents.engine.queueing import BATCH, queue
from agents.models import Run, RunStatus, Wait, WaitKind


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did: how many runs it queued, and the seconds until the next timer it knows of."""

    queued: int
    next_due: float | None


def wake_due() -> Sweep:
    """Queue parked runs whose timers are due; tell when the next one is."""
    now = database_now()
    queued = 0
    while True:
        due = list(Wait.objects.filter(due_at__lte=now).order_by("due_at").values_list("run_id", flat=True)[:BATCH])
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
            queued += queue([waiting[id] for id in ready], "run_woken", {"by": "timer"}, "timer")
        if len(waiting) < len(set(due)):
            break
    upcoming = Wait.objects.filter(due_at__isnull=False).aggregate(at=Min("due_at"))["at"]
    return Sweep(queued, (upcoming - now).total_seconds() if upcoming else None)


def wake_for_workflows(names: Iterable[str]) -> int:
    """Queue runs that waited for a worker that knows their workflow."""
    waiting = Wait.objects.filter(kind=WaitKind.WORKER, name__in=list(names))
    # Without the paused, or a batch full of them would let nobody else through.
    paused = Wait.objects.filter(kind=WaitKind.PAUSED).values("run_id")
    ids = list(waiting.exclude(run_id__in=paused).values_list("run_id", flat=True)[:BATCH])
    if not ids:
        return 0
    with transaction.atomic():
        runs = list(
            Run.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(id__in=ids, status=RunStatus.WAITING)
            .exclude(id__in=paused)
            .order_by("id")
        )
        Wait.objects.filter(run_id__in=[run.id for run in runs]).delete()
        return queue(runs, "run_woken", {"by": "worker"}, "its workflow is known here")
