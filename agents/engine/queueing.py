"""Putting runs back into the queue, many at a time, under the locks of their rows."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, QuerySet

from agents.engine.database_clock import database_now
from agents.engine.notify import announce
from agents.models import Run, RunEvent, RunStatus

BATCH = 500


def requeue(runs: QuerySet[Run], reason: str) -> int:
    """Queue running runs anew, with the next epoch, so that whoever still writes for them is refused."""
    total = 0
    while True:
        with transaction.atomic():
            chosen = list(
                runs.filter(status=RunStatus.RUNNING)
                .select_for_update(skip_locked=True, no_key=True, of=("self",))
                .order_by("id")
                .only("id", "last_event")[:BATCH]
            )
            Run.objects.filter(id__in=[run.id for run in chosen]).update(epoch=F("epoch") + 1)
            total += queue(chosen, "run_queued", {"reason": reason}, reason)
        if len(chosen) < BATCH:
            return total


def queue(runs: list[Run], kind: str, data: dict[str, str], reason: str) -> int:
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
