"""Retrying runs: one that has failed, or was cancelled, goes on from the step that failed.

How a step is tried again while its run goes on is in retry.py and stepping.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from agents.engine import control
from agents.engine.caps import Caps
from agents.engine.database_clock import database_now
from agents.engine.journal.transitions import concerns
from agents.engine.records import ON_CANCEL, STARTING_RUNS
from agents.engine.scope import is_superseded_with
from agents.engine.turns import is_turn_of_another
from agents.engine.windows import window_runs
from agents.models import Inbox, Run, RunStatus, Step, StepStatus, Wait, Wanted

RETRIED = (RunStatus.FAILED, RunStatus.CANCELLED)
"""What a run is that can be retried."""


def retry(run_id: UUID, *, by: str) -> list[str]:
    """Let a failed or cancelled run go on from the step that failed; gives the keys of the steps set aside.

    The failed step and all that started after its failure in its ancestor scopes are superseded, never deleted;
    sibling branches keep their records.
    """
    with transaction.atomic():
        run = control.lock(run_id)
        if run.status not in RETRIED:
            raise control.CannotDo(f"The run is {run.status}; only a failed or cancelled run can be retried.")
        if is_turn_of_another(run.pk):
            raise control.CannotDo("Another message of its thread is at work or waits for its turn.")
        if run.parent_id is not None and run.parent_key != ON_CANCEL:
            _take_end_back(run, run.parent_id)
        keys = superseded_by_retry(run)
        Step.objects.filter(run_id=run.id, key__in=keys, superseded=False).update(superseded=True)
        run.status, run.reason, run.error, run.finished_at, run.wanted = RunStatus.QUEUED, "retried", None, None, ""
        run.suspect, run.crashes = False, 0
        run.deadline_at = _new_deadline(run)
        control.log(run, "run_retried", {"by": by, "superseded": keys})
        control.save(run)
    return keys


def _new_deadline(run: Run) -> datetime | None:
    """Give a retried run its time anew; below another run, what is left of that one's."""
    if run.parent_id is not None:
        return Run.objects.values_list("deadline_at", flat=True).get(pk=run.parent_id)
    seconds = Caps.of(run.budget).seconds
    return None if seconds is None else database_now() + timedelta(seconds=seconds)


def _take_end_back(run: Run, parent_id: UUID) -> None:
    """Take back what a sub-run's end told its parent, if nobody can have read it yet; raises control.CannotDo."""
    parent = Run.objects.select_for_update(no_key=True).filter(pk=parent_id).first()
    is_free = parent is not None and parent.status in (RunStatus.QUEUED, RunStatus.WAITING)
    told = Inbox.objects.filter(run_id=parent_id, token=str(run.id), consumed_at=None)
    if parent is None or not is_free or parent.wanted == Wanted.CANCEL or not told.delete()[0]:
        raise control.CannotDo("The run it belongs to has learned of its end; retry that one.")
    for wait in Wait.objects.filter(run_id=parent.id):
        if concerns(control.wait_record(wait), run.parent_key):
            Wait.objects.filter(pk=wait.pk).update(needed=F("needed") + 1)


def superseded_by_retry(run: Run) -> list[str]:
    """Give the keys of the steps that a retry of this run would execute anew although they have a record."""
    steps = list(
        Step.objects.filter(run_id=run.id, superseded=False).only("key", "kind", "status", "started_at", "finished_at")
    )
    cancelled = cancelled_calls(run)
    failed_key = (run.error or {}).get("step", "") if isinstance(run.error, dict) else ""
    failed = next((step for step in steps if step.key == failed_key), None)
    # What a person refused is asked about again.
    is_failure = failed is not None and (failed.status == StepStatus.FAILED or failed.kind in ("approve", "ask"))
    if failed is None or not is_failure or failed.finished_at is None:
        return sorted(cancelled)
    ended = failed.finished_at
    return [
        step.key
        for step in steps
        if step.key == failed.key
        or step.key in cancelled
        or (step.started_at > ended and is_superseded_with(step.key, failed.key))
    ]


def cancelled_calls(run: Run) -> set[str]:
    """Give the keys of open calls whose sub-run was cancelled along with this run: they are called anew."""
    steps = Step.objects.filter(run_id=run.id, kind__in=STARTING_RUNS, superseded=False)
    open_steps = steps.exclude(status__in=(StepStatus.SUCCEEDED, StepStatus.FAILED))
    # Also those that are still stopping: they will be cancelled.
    below = Run.objects.filter(Q(status=RunStatus.CANCELLED) | Q(wanted=Wanted.CANCEL), parent_id=run.id)
    cancelled = dict(below.values_list("pk", "parent_key"))
    called = set(cancelled.values())
    return {
        key
        for key, kind, input in open_steps.values_list("key", "kind", "input")
        if (key in called if kind == "call" else not cancelled.keys().isdisjoint(window_runs(input or {})))
    }
