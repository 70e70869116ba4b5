"""What others do to a run that they don't hold, one transaction each.

The product does it by the ORM (control.py, retrying.py, reaping.py, queueing.py, waking.py); here it is written anew,
by the same pure functions, and the tests on the real databases compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cache

from agents.engine.journal import transitions
from agents.engine.records import WaitRecord
from tests.protocol.state import DONE, Message, Row
from tests.protocol.tables import Tables, run_id

MAX_CRASHES = 3


def told(row: Row, wakes: int) -> Row:
    """Count a wake."""
    return row._replace(wakes=wakes, is_fresh=False)


def wake(tables: Tables, index: int, names: Sequence[str]) -> None:
    """Wake a run: control._wake, by the journal's own function for it."""
    row = tables.rows[index]
    locked = tables.lock_runs([run_id(index)])[run_id(index)]
    left = transitions.wake(locked, row.waits if row.status == "waiting" else (), names)
    queued = locked.status == "queued" and row.status == "waiting"
    tables.rows[index] = row._replace(
        status=locked.status,
        wakes=locked.wakes,
        is_fresh=False,
        waits=() if queued else tuple(left) if row.status == "waiting" else row.waits,
    )


def tell(tables: Tables, index: int, message: Message) -> None:
    """control.tell"""
    if not tables.rows[index].has_ended and tables.insert_message(index, message):
        wake(tables, index, [message.name])


def cancel(tables: Tables, index: int) -> None:
    """control._cancel_one"""
    row = tables.rows[index]
    if row.has_ended and not tables.flaws.cancel_after_the_end:
        return
    if row.status == "running":
        if row.wanted != "cancel":
            _ask(tables, index, "cancel")
        return
    tables.check_end(row, "cancelled")
    tables.rows[index] = row._replace(status="cancelled", waits=(), holder=None)
    _tell_parent(tables, row, index, "cancelled")


def _tell_parent(tables: Tables, row: Row, index: int, status: str) -> None:
    """control._tell_parent"""
    if row.parent is not None:
        tables.insert_message(row.parent, Message(row.parent_key, str(run_id(index)), status))
        if not tables.rows[row.parent].has_ended:
            wake(tables, row.parent, [row.parent_key])


def _ask(tables: Tables, index: int, wanted: str) -> None:
    """control._ask"""
    row = tables.rows[index]
    tables.rows[index] = told(row, row.wakes + 1)._replace(wanted=wanted)


def can_pause(row: Row) -> bool:
    """Whether control.pause accepts it."""
    return not (row.has_ended or row.is_paused or row.wanted)


def pause(tables: Tables, index: int) -> None:
    """control.pause"""
    row = tables.rows[index]
    if row.status == "running":
        _ask(tables, index, "pause")
    else:
        waits = (*row.waits, WaitRecord("paused"))
        tables.rows[index] = row._replace(status="waiting", waits=waits)


def can_resume(row: Row) -> bool:
    """Whether control.resume accepts it."""
    return row.is_paused or (row.status in ("running", "queued") and row.wanted == "pause")


def resume(tables: Tables, index: int, *, is_early: bool = False) -> None:
    """control.resume; `is_early` says that the run was accepted for later and its time has not come."""
    row = tables.rows[index]
    if row.status == "running":
        tables.rows[index] = told(row, row.wakes + 1)._replace(wanted="")
    elif row.status == "queued":
        tables.rows[index] = row._replace(wanted="")
    elif is_early:
        tables.rows[index] = row._replace(waits=tuple(wait for wait in row.waits if wait.kind != "paused"))
    else:
        tables.rows[index] = row._replace(status="queued", waits=())


def can_retry(tables: Tables, index: int) -> bool:
    """Whether retrying.retry accepts it: a sub-run only while its end is unread and its parent in nobody's hands."""
    row = tables.rows[index]
    if row.status not in ("failed", "cancelled") or row.parent is None:
        return row.status in ("failed", "cancelled")
    parent = tables.rows[row.parent]
    is_unread = any(message.token == str(run_id(index)) for message in parent.inbox)
    return is_unread and parent.status in ("queued", "waiting") and parent.wanted != "cancel"


def retry(tables: Tables, index: int, aside: Collection[str] | None = None) -> None:
    """retrying.retry: the failed step and what started after its failure is superseded, and calls of cancelled runs.

    `aside` has the keys of the former; none in the enumeration, where a failed step is the last. An interrupted safe
    step is simply done again.
    """
    row = tables.rows[index]
    if row.parent is not None:
        _take_end_back(tables, row.parent, row.parent_key, str(run_id(index)))
    keys = {key for key, state in row.steps if state == "failed"} if aside is None else set(aside)
    keys |= _cancelled_calls(tables, index)
    set_aside = {(key, state) for key, state in row.steps if key in keys}
    superseded = () if tables.flaws.retry_deletes else tuple(sorted({*row.superseded, *set_aside}))
    tables.rows[index] = row._replace(
        status="queued",
        wanted="",
        steps=tuple((key, state) for key, state in row.steps if key not in keys),
        superseded=superseded,
        acted=row.acted and "u" not in keys,
        is_suspect=False,
        crashes=0,
    )


def _take_end_back(tables: Tables, parent: int, key: str, token: str) -> None:
    """retrying._take_end_back"""
    row = tables.rows[parent]
    tables.rows[parent] = row._replace(
        inbox=tuple(message for message in row.inbox if message.token != token),
        tokens=tuple(each for each in row.tokens if each != token),
        waits=tuple(replace(w, needed=w.needed + 1) if transitions.concerns(w, key) else w for w in row.waits),
    )


def _cancelled_calls(tables: Tables, index: int) -> set[str]:
    """retrying.cancelled_calls"""
    steps = dict(tables.rows[index].steps)
    children = [row for row in tables.rows if row.parent == index]
    cancelled = {row.parent_key for row in children if "cancel" in (row.wanted, row.status[:6])}
    return {key for key in cancelled if steps.get(key, "succeeded") not in DONE}


def requeue(tables: Tables, index: int) -> None:
    """queueing.requeue"""
    row = tables.rows[index]
    epoch = row.epoch if tables.flaws.epochs_stand_still else row.epoch + 1
    tables.rows[index] = row._replace(status="queued", worker=None, epoch=epoch, holder=None)


def accuse(tables: Tables, index: int) -> None:
    """reaping._judge, of a run that its worker's marks accuse: three crashes while it was alone end it"""
    row = tables.rows[index]
    crashes = row.crashes + row.is_suspect
    if crashes < MAX_CRASHES:
        tables.rows[index] = row._replace(is_suspect=True, crashes=crashes)
        return
    # control.end_as_failed
    steps = tuple((key, "interrupted" if state == "running" else state) for key, state in row.steps)
    tables.rows[index] = row._replace(
        status="failed",
        worker=None,
        wanted="",
        epoch=row.epoch + 1,
        steps=steps,
        is_suspect=False,
        crashes=crashes,
        holder=None,
    )
    _tell_parent(tables, row, index, "failed")


def acquit(tables: Tables, index: int) -> None:
    """suspects.acquit"""
    tables.rows[index] = tables.rows[index]._replace(is_suspect=False, crashes=0)


def has_time(wait: WaitRecord) -> bool:
    """Whether a wait is for a time; the runs of the enumeration have but one such wait."""
    return wait.due_at is not None


def wake_due(tables: Tables, index: int, is_due: Callable[[WaitRecord], bool] = has_time) -> None:
    """waking.wake_due, for a run with a timer that is due"""
    row = tables.rows[index]
    if row.is_paused:
        waits = (_met(wait) if is_due(wait) else wait for wait in row.waits)
        tables.rows[index] = row._replace(waits=tuple(waits))
    else:
        tables.rows[index] = row._replace(status="queued", waits=())


@cache
def _met(wait: WaitRecord) -> WaitRecord:
    return WaitRecord(wait.kind, wait.key, wait.name, None, 0)


def wake_for_workflows(tables: Tables, index: int) -> None:
    """waking.wake_for_workflows"""
    tables.rows[index] = tables.rows[index]._replace(status="queued", waits=())
