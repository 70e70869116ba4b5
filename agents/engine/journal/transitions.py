"""What a change does to a run's row, and tells the run above it: pure functions, the same for every database.

Rules 2, 10, 12 and 13 of the protocol live here: only the lease holder writes, a park is refused when somebody spoke
meanwhile, the first terminal commit wins, a join wakes its parent once, a wake leaves a paused run paused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from agents.engine.canonical import encode
from agents.engine.records import (
    ENDED,
    ON_CANCEL,
    Change,
    Committed,
    Finish,
    MessageRecord,
    Park,
    Release,
    RunRow,
    WaitRecord,
)

PARK_EVENTS = ("run_waiting", "run_paused")


def holds_lease(row: RunRow, change: Change, worker_id: int) -> bool:
    """Whether the writer of this change still has the right to move the run."""
    return row.status == "running" and row.worker_id == worker_id and row.epoch == change.epoch


def apply_change(row: RunRow, change: Change, now: datetime) -> tuple[Committed, Change]:
    """Bring the row to what it is after the change; give what its writer must know, and what of the change to write.

    A run that is to be cancelled queues no more calls, and of sub-runs its cancel handler alone; a refused park is not
    logged. The change itself stays as it is: after a rollback it is applied again.
    """
    if row.wanted == "cancel" and (change.children or change.calls):
        change = _starting_nothing(change)
    parked = True
    if isinstance(change.ending, Park) and row.wakes != change.ending.seen_wakes:
        events = [event for event in change.events if event.kind not in PARK_EVENTS]
        change = replace(change, ending=None, events=events)
        parked = False
    for step in change.steps.values():
        if step.is_counted:
            continue
        if step.status == "succeeded" and step.kind != "emit":
            row.steps_done += 1
        if step.is_done:
            row.input_tokens += step.input_tokens
            row.output_tokens += step.output_tokens
            row.cost_microusd += step.cost_microusd or 0
    _apply_ending(row, change, now)
    row.last_event += len(change.events)
    return Committed(wakes=row.wakes, wanted=row.wanted, parked=parked), change


def _starting_nothing(change: Change) -> Change:
    kept = [child for child in change.children if child.parent_key == ON_CANCEL]
    refused = {child.parent_key for child in change.children} - {ON_CANCEL}
    calls = change.calls
    if calls is not None:
        refused |= {call.key for call in calls.new}
        calls = replace(calls, new=[])
    steps = {key: step for key, step in change.steps.items() if key not in refused}
    return replace(change, children=kept, calls=calls, steps=steps)


def _apply_ending(row: RunRow, change: Change, now: datetime) -> None:
    match change.ending:
        case Park() as park:
            row.status, row.reason, row.worker_id = "waiting", park.reason, None
            if any(wait.kind == "paused" for wait in park.waits):
                row.wanted = ""
        case Finish() as finish:
            row.status, row.reason, row.worker_id = finish.status, finish.reason, None
            row.output, row.error, row.finished_at, row.wanted = finish.output, finish.error, now, ""
        case Release() as release:
            row.status, row.reason, row.worker_id = "queued", release.reason, None


def wake(row: RunRow, waits: Iterable[WaitRecord], names: Iterable[str]) -> list[WaitRecord]:
    """Tell a run that messages of these names came: count the wake and give its waits as they are now.

    The caller writes the row and the waits; the row is queued when one of its waits is met (see `is_due`).
    """
    row.wakes += 1
    left = [met(wait, names) for wait in waits]
    if row.status == "waiting" and is_due(left):
        row.status, row.reason = "queued", "woken"
    return left


def met(wait: WaitRecord, names: Iterable[str]) -> WaitRecord:
    """Give the wait with as many messages less to come as there are names for it."""
    count = sum(1 for name in names if concerns(wait, name))
    return replace(wait, needed=wait.needed - count) if count else wait


def concerns(wait: WaitRecord, name: str) -> bool:
    """Whether a message of this name is one that the wait is for."""
    if wait.kind in ("timer", "paused", "slot", "worker", "turn", "place"):
        return False
    if not wait.key.endswith("/"):
        return name == wait.key
    # A join's own branches, not those of a gather within one of them: that is another join.
    return name.startswith(wait.key) and name.count("/") == wait.key.count("/") + 1


def is_due(waits: Iterable[WaitRecord]) -> bool:
    """Whether a run with these waits should go on: one is met and nobody paused it."""
    waits = list(waits)
    return not any(wait.kind == "paused" for wait in waits) and any(wait.needed <= 0 for wait in waits)


def has_ended(row: RunRow) -> bool:
    return row.status in ENDED


def child_message(change: Change) -> MessageRecord:
    """Give what a finished sub-run tells its parent."""
    assert change.parent_id is not None
    assert isinstance(change.ending, Finish)
    return MessageRecord(
        run_id=change.parent_id,
        name=change.parent_key,
        token=str(change.run_id),
        data=child_outcome(
            change.ending.status, change.ending.output, change.ending.error, tainted=change.ending.tainted
        ),
    )


def child_outcome(status: str, output: str | None, error: str | None, *, tainted: bool) -> str:
    """Give the JSON text in which a sub-run's end is told to its parent."""
    taint = ',"tainted":true' if tainted else ""
    return f'{{"status":{encode(status)},"output":{output or "null"},"error":{error or "null"}{taint}}}'
