"""Pausing and resuming trees of runs: what is asked of a run holds for all runs below it.

A handler that makes a cancelled run good is not paused with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from agents.engine import control
from agents.engine.queueing import BATCH
from agents.engine.records import ON_CANCEL
from agents.models import ENDED, Run, RunStatus, Wait, WaitKind, Wanted

BY_PARENT = "its parent"


def pause(run_id: UUID, *, by: str) -> None:
    """Let a run and all runs below it start no more steps until it is resumed; raises CannotDo as control.pause."""
    control.pause(run_id, by=by)
    pause_below(run_id, by=by)


def resume(run_id: UUID, *, by: str) -> None:
    """Let a paused run and all paused runs below it go on; raises CannotDo as control.resume."""
    control.resume(run_id, by=by)
    _below(run_id, lambda runs: runs.filter(_is_paused()), lambda child: control.resume(child, by=by))


def pause_below(run_id: UUID, *, by: str) -> None:
    """Pause all runs below a run. Looks again until none is left: a sub-run may be queued meanwhile."""
    _below(run_id, _going_on, lambda child: control.pause(child, by=by))


def pause_with(run_id: UUID) -> None:
    """Pause all runs below a run, for as long as that one is paused itself: its sub-runs follow it."""
    paused = Wait.objects.filter(run_id=run_id, kind=WaitKind.PAUSED)

    def follow(child: UUID) -> None:
        if paused.exists():
            control.pause(child, by=BY_PARENT)

    _below(run_id, lambda runs: _going_on(runs) if paused.exists() else runs.none(), follow)


def pause_left_over() -> int:
    """Pause the sub-runs of paused runs that go on because their pauser died before it came to them.

    Gives the number of runs below which some were left.
    """
    paused = Wait.objects.filter(kind=WaitKind.PAUSED).values("run_id")
    left = _going_on(Run.objects.filter(parent_id__in=paused, parent__status=RunStatus.WAITING)).exclude(
        parent_key=ON_CANCEL
    )
    parents = {run.parent_id for run in left.order_by("id").only("parent_id")[:BATCH]}
    for parent_id in parents:
        if parent_id is not None:
            pause_with(parent_id)
    return len(parents)


def _is_paused() -> Q:
    waits = Wait.objects.filter(run_id=OuterRef("pk"), kind=WaitKind.PAUSED)
    return Q(wanted=Wanted.PAUSE) | Q(Exists(waits))


def _going_on(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Those that can be paused."""
    return runs.exclude(status__in=ENDED).filter(wanted=Wanted.NONE).exclude(_is_paused())


def _below(run_id: UUID, which: Callable[[QuerySet[Run]], QuerySet[Run]], act: Callable[[UUID], None]) -> None:
    """Act on those runs of all levels below a run, level by level, the higher first."""
    for children in _levels(run_id):
        while True:
            chosen = list(which(children).order_by("id").values_list("pk", flat=True)[:BATCH])
            for child in chosen:
                # One that has ended meanwhile, or of which somebody else asked the same.
                with suppress(control.CannotDo):
                    act(child)
            if len(chosen) < BATCH:
                break


def _levels(run_id: UUID) -> Iterator[QuerySet[Run]]:
    parents = [run_id]
    while parents:
        children = Run.objects.filter(parent_id__in=parents).exclude(parent_key=ON_CANCEL)
        yield children
        # Also below those that have ended: they may have let go of sub-runs that still go on.
        parents = list(children.values_list("pk", flat=True))
