"""What a tree of runs has taken, and what the workers hold of its caps. Short ORM work on the chores' thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, QuerySet, Sum

from agents.engine import control
from agents.engine.caps import NOTHING, Amounts
from agents.engine.database_clock import database_now
from agents.engine.leases import LIVING
from agents.engine.ledger import Decide, total
from agents.engine.metering import out_of_time
from agents.engine.queueing import BATCH
from agents.models import Run, RunStatus, Tree, Worker

_SUMS: Mapping[str, Any] = {
    "steps": Sum("steps_done"),
    "in_tokens": Sum("input_tokens"),
    "out_tokens": Sum("output_tokens"),
    "microusd": Sum("cost_microusd"),
    "runs": Count("id"),
}


def exchange(worker_id: int, root_id: UUID, decide: Decide) -> None:
    """Decide about a tree while nobody else does, and let stand what this worker then holds of it."""
    with transaction.atomic():
        Tree.objects.bulk_create([Tree(root_id=root_id)], ignore_conflicts=True)
        tree = Tree.objects.select_for_update().get(pk=root_id)
        others = {name: Amounts(*held) for name, held in tree.holds.items() if name != str(worker_id)}
        living = set(Worker.objects.filter(pk__in=others, state__in=LIVING).values_list("pk", flat=True))
        # What a worker held that is gone is free: what it had recorded is counted with its runs.
        others = {name: held for name, held in others.items() if int(name) in living}
        mine = decide(taken(root_id), total(others.values()))
        holds = {name: list(held) for name, held in {**others, str(worker_id): mine}.items() if held != NOTHING}
        if holds != tree.holds:
            Tree.objects.filter(pk=root_id).update(holds=holds)


def taken(root_id: UUID) -> Amounts:
    """Give what is recorded of all runs of a tree."""
    return all_taken([root_id])[root_id]


def all_taken(roots: Collection[UUID]) -> dict[UUID, Amounts]:
    """Give what is recorded of all runs of these trees: from the rows of the runs, two questions for all."""
    below = _sums(Run.objects.filter(root_id__in=roots), "root_id")
    at_top = _sums(Run.objects.filter(pk__in=roots), "pk")
    return {root: below.get(root, NOTHING).plus(at_top.get(root, NOTHING)._replace(children=0)) for root in roots}


def _sums(runs: QuerySet[Run], by: str) -> dict[UUID, Amounts]:
    return {
        row[by]: Amounts(
            steps=int(row["steps"]),
            children=row["runs"],
            tokens=int(row["in_tokens"]) + int(row["out_tokens"]),
            microusd=int(row["microusd"]),
        )
        for row in runs.order_by().values(by).annotate(**_SUMS)
    }


def end_overdue() -> None:
    """End runs without a worker whose time is up; a worker ends those it has."""
    now = database_now()
    while True:
        overdue = Run.objects.filter(deadline_at__lte=now, finished_at=None).exclude(status=RunStatus.RUNNING)
        ids = list(overdue.order_by("deadline_at").values_list("pk", flat=True)[:BATCH])
        ended = sum(_end(run_id) for run_id in ids)
        if len(ids) < BATCH or not ended:
            return


def _end(run_id: UUID) -> int:
    with transaction.atomic():
        run = control.lock(run_id)
        if run.status not in (RunStatus.QUEUED, RunStatus.WAITING) or run.deadline_at is None:
            return 0
        error = out_of_time(run.deadline_at)
        control.end_as_failed(run, {"type": error.type, "message": str(error)})
    return 1
