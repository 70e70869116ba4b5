"""What others do to a run that they don't hold, one transaction each.

The product does it by the ORM (control.py, reaping.py, queueing.py, waking.py); here it is written anew, by the same
pure functions, and the tests on the real databases compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from agents.engine.journal import transitions
from agents.engine.records import WaitRecord
from tests.protocol.state import Message, Row
from tests.protocol.tables import Tables, run_id


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
    if row.parent is not None:
        # control._tell_parent
        tables.insert_message(row.parent, Message(row.parent_key, str(run_id(index)), "cancelled"))
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


def resume(tables: Tables, index: int) -> None:
    """control.resume"""
    row = tables.rows[index]
    if row.status == "running":
        tables.rows[index] = told(row, row.wakes + 1)._replace(wanted="")
    elif row.status == "queued":
        tables.rows[index] = row._replace(wanted="")
    else:
        tables.rows[index] = row._replace(status="queued", waits=())


def retry(tables: Tables, index: int) -> None:
    """control.retry: what failed is superseded, an interrupted safe step is simply done again."""
    row = tables.rows[index]
    steps = tuple((key, state) for key, state in row.steps if state != "failed")
    acted = row.acted and "failed" not in dict(row.steps).values()
    tables.rows[index] = row._replace(status="queued", wanted="", steps=steps, acted=acted)


def requeue(tables: Tables, index: int) -> None:
    """queueing.requeue"""
    row = tables.rows[index]
    epoch = row.epoch if tables.flaws.epochs_stand_still else row.epoch + 1
    tables.rows[index] = row._replace(status="queued", worker=None, epoch=epoch, holder=None)


def wake_due(tables: Tables, index: int) -> None:
    """waking.wake_due, for a run whose timer is due"""
    row = tables.rows[index]
    if row.is_paused:
        waits = (wait if wait.due_at is None else _met(wait) for wait in row.waits)
        tables.rows[index] = row._replace(waits=tuple(waits))
    else:
        tables.rows[index] = row._replace(status="queued", waits=())


@cache
def _met(wait: WaitRecord) -> WaitRecord:
    return WaitRecord(wait.kind, wait.key, wait.name, None, 0)


def wake_for_workflows(tables: Tables, index: int) -> None:
    """waking.wake_for_workflows"""
    tables.rows[index] = tables.rows[index]._replace(status="queued", waits=())
