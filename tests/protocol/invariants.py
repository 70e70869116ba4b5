"""What must hold in every state and over every move, said apart from the code that ought to bring it about."""

from __future__ import annotations

from agents.engine.records import WaitRecord
from tests.protocol.state import DONE, Row, World
from tests.protocol.tables import call_key, demand, run_id

RESUMES = ("person: resume", "person: cancel", "person: retry")


def check_state(world: World) -> None:
    """Raise Violation if this state must not be."""
    for index, row in enumerate(world.rows):
        if not row.status:
            continue
        _check_row(row)
        _check_question(world, index, row)
        if row.status == "waiting" and not row.is_paused:
            for wait in row.waits:
                demand(
                    not _is_met(world, index, row, wait), f"run {index} waits for what has come: {wait.kind} {wait.key}"
                )
    for slot in world.slots:
        leases = [(x.run, x.epoch) for x in slot.execs if not x.is_lost]
        demand(len(leases) == len(set(leases)), "a worker drives a run twice")
    _check_tree(world)


def _check_row(row: Row) -> None:
    demand(
        (row.status == "running") == (row.worker is not None),
        "a run is leased without running, or runs without a lease",
    )
    demand((row.status == "waiting") == bool(row.waits), "a run waits without a wait, or has waits without waiting")
    if row.status == "waiting":
        demand(row.wanted != "cancel", "a run that is to be cancelled was parked")
        demand(row.wanted != "pause" or row.is_paused, "a run that is to be paused waits without being paused")


def _is_met(world: World, index: int, row: Row, wait: WaitRecord) -> bool:
    """Whether the outside sees that what is waited for has come."""
    match wait.kind:
        case "event" | "unknown":
            return any(message.name == wait.key for message in row.inbox)
        case "child":
            steps = dict(row.steps)
            children = [
                i
                for i, child in enumerate(world.rows)
                if child.parent == index and steps.get(call_key(i), "succeeded") not in DONE
            ]
            missing = [i for i in children if not any(m.token == str(run_id(i)) for m in row.inbox)]
            return not missing or wait.needed != len(missing)
        case _:
            return wait.needed <= 0


def _check_question(world: World, index: int, row: Row) -> None:
    is_asked = any(wait.kind == "unknown" for wait in row.waits)
    acting = [x for slot in world.slots for x in slot.execs if x.run == index and "act" in (x.phase, x.back)]
    demand(not (is_asked and acting), "a person is asked for an outcome while the effect may still be under way")


def _check_tree(world: World) -> None:
    if world.below is not None:
        return
    for row in world.rows:
        if row.parent is not None and row.status and not row.has_ended and row.wanted != "cancel":
            demand(world.rows[row.parent].status != "cancelled", "a sub-run goes on below a run that was cancelled")


def check_move(label: str, before: World, after: World) -> None:
    """Raise Violation if this move must not be."""
    for index, (old, new) in enumerate(zip(before.rows, after.rows, strict=False)):
        if old is new or old == new:
            continue
        is_retry = label == "person: retry"
        if old.has_ended:
            demand(is_retry or new.status == old.status, "the first end of a run did not stay its last")
        if old.is_paused and not new.is_paused:
            demand(label.startswith(RESUMES), "a paused run went on although nobody resumed it")
        if old.wanted == "pause" and not new.wanted and not new.has_ended and not new.is_paused:
            demand(label.startswith(RESUMES), "the wish to pause a run was lost")
        _check_steps(is_retry, old, new)
        lost = {m.token for m in old.inbox} - {m.token for m in new.inbox}
        demand(not lost or is_retry or "commits" in label or "again" in label, "a message was lost unread")
        if old.status == "waiting" and new.status == "queued" and all(w.kind == "child" for w in old.waits):
            is_woken = not label.startswith((*RESUMES, "sweep"))
            needed = sum(w.needed for w in old.waits)
            ends = sum(
                n.parent == index and not o.has_ended and n.has_ended
                for o, n in zip(before.rows, after.rows, strict=False)
            )
            demand(not is_woken or needed == ends, "a parent was woken before all of its join had ended")


def _check_steps(is_retry: bool, old: Row, new: Row) -> None:
    states = dict(new.steps)
    for key, state in old.steps:
        if state in DONE and states.get(key) != state:
            demand(is_retry, f"the recorded outcome of {key} was lost")
            demand((key, state) in new.superseded, f"the outcome of {key} was set aside and is gone")
            demand(state == "failed" or _has_failed(old), f"the outcome of {key} was set aside without a failure")
    gone = set(old.superseded) - set(new.superseded)
    demand(not gone, "what was set aside is gone")


def _has_failed(row: Row) -> bool:
    return any(state == "failed" for _, state in row.steps)


def is_at_rest(world: World) -> bool:
    """Whether every run has ended or waits for somebody else's word."""
    return world.below is None and all(
        not row.status or row.has_ended or (row.status == "waiting" and _waits_for_others(world, row))
        for row in world.rows
    )


def _waits_for_others(world: World, row: Row) -> bool:
    return row.is_paused or any(wait.kind in ("event", "unknown") for wait in row.waits)
