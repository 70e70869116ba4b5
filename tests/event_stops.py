"""Stops on the way from an event to its run, and workflows for them: loaded as WORKFLOW_MODULES by the product alone.

- `accepting`, `accepted`: before and after the commit of who tells of the event, in whatever process. The statement
  that writes it may be a transaction of its own: the stop before the commit is before the statement.
- `emitting`, `emitted`: the same for an event that a run tells of, in its worker's journal.
- `told`: the runs that wait for it were told.
- `met`: it has met a subscription, and its place in a line is taken.
- `dispatching`, `dispatched`: before and after the commit that dispatches it.
- `starting`, `started`: before and after the commit that starts a run for it; `started` comes before earlier runs are
  cancelled.
- `registered`: a wait for it is registered and has not looked back; `handing`: before the commit that hands it over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction

from agents.engine import Context, workflow
from agents.engine.journal.store import Store
from agents.services import dispatching, event_rows, events, handing_over, launching
from agents.triggers import outbox
from tests.stops import around, hold, hold_at
from tests.workflows import witness

LEASE = timedelta(seconds=2)

_dispatched: list[str] = []
_started: list[str] = []


@workflow("note")
async def note(ctx: Context, input: Any) -> Any:
    """Note that a run was started, and stay as long as it is told to."""
    await ctx.step("note", witness, input["goal"])
    if seconds := input.get("seconds"):
        await ctx.sleep(seconds)
    return input["goal"]


@workflow("tell")
async def tell(ctx: Context, input: Any) -> Any:
    """Tell of an event."""
    await ctx.emit_event(input["name"], {"key": "told"})
    return "told"


@workflow("hear")
async def hear(ctx: Context, input: Any) -> Any:
    """Wait for an event."""
    event = await ctx.wait_event(input["name"])
    return event and event.data["key"]


def names_of(told: Iterable[Any]) -> list[str]:
    """Give what events may be stopped by: their names; for a row's change, the row's."""
    return [event.data["values"]["name"] if event.name.startswith("auth.group.") else event.name for event in told]


def _after_emit(result: Any, *_: Any) -> None:
    names = names_of(result)
    transaction.on_commit(lambda: hold("accepted", names))


def _hold_before_insert() -> None:
    name, insert = "insert_new", event_rows.insert_new

    def held(workspace_id: int, rows: Any) -> Any:
        hold("accepting", names_of(row.event for row in rows))
        return insert(workspace_id, rows)

    setattr(events, name, held)


def _after_enqueue(_result: Any, told: Any, **_: Any) -> None:
    _dispatched.extend(names_of(told))
    hold("dispatching", names_of(told))


def _after_start(_result: Any, **given: Any) -> None:
    name = given["told"]["event_name"]
    _started.append(name)
    hold("starting", [name])


def _after_write(_result: Any, _store: Any, _worker: int, batch: Any, *_: Any) -> None:
    emitted = [event.name for change in batch.changes for event in change.emitted]
    hold_at({"emitted": emitted, "registered": [wanted.pattern for c in batch.changes for wanted in c.listens]})


def _install() -> None:
    outbox.LEASE = LEASE  # type: ignore[misc]  # one that is over while the test waits
    # Each event in a transaction of its own: two of one transaction can't both be where its worker is killed.
    dispatching.AT_ONCE = 1
    around(events, "emit_events", _after_emit)
    _hold_before_insert()
    around(dispatching, "tell_listeners", lambda _result, _workspace, told: hold("told", names_of(told)))
    around(dispatching, "enqueue_deliveries", _after_enqueue)
    around(dispatching, "_launch_apart", lambda _result, event, *_: hold("met", [event.name]))
    around(launching, "start_run", _after_start)
    around(
        handing_over, "tell_locked", lambda _result, _runs, told: hold("handing", [one.data["name"] for one in told])
    )
    around(Store, "write", _after_write)
    for kind in Store.__subclasses__():
        around(
            kind, "write_emitted", lambda _result, _store, told: hold("emitting", [event.name for *_, event in told])
        )
    cancel_runs = launching.cancel_runs

    def hold_and_cancel(runs: Any) -> None:
        hold("dispatched", _dispatched)
        hold("started", _started)
        cancel_runs(runs)

    setattr(dispatching, "cancel_runs", hold_and_cancel)  # noqa: B010 (it is imported there, not exported)


_install()
