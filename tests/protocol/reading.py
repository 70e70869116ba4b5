"""The real tables, read as the model's: the same rows, the same words, so that the same rules judge both."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC
from typing import Any
from uuid import UUID

from django.db import connection

from agents.engine.database_clock import database_seconds
from agents.engine.records import WaitRecord
from tests.protocol.state import Message, Row, Steps, WorkerRow, World
from tests.protocol.tables import demand

# In SQL, as all of it is read after every move: the ORM would take ten times as long.
RUNS = """
SELECT id, status, wanted, worker_id, epoch, wakes, suspect, crashes, parent_id, parent_key, last_event FROM agents_run
"""
STEPS = "SELECT run_id, key, status FROM agents_step WHERE "
# Of messages that are entries for the run's log the model knows nothing.
INBOX = "SELECT run_id, name, token, data, consumed_at FROM agents_inbox WHERE name <> 'log'"
WAITS = "SELECT run_id, kind, key, name, due_at, needed FROM agents_wait"
EVENTS = "SELECT run_id, number FROM agents_runevent ORDER BY run_id, number"
WORKERS = "SELECT id, state, seen, lease, batch FROM agents_worker ORDER BY id"


def read_world(count: int) -> World:
    """Read `count` runs, also such as were never queued; raises Violation if the numbers of events have a gap."""
    steps, superseded = _read_steps("NOT superseded"), _read_steps("superseded")
    inbox, tokens = _read_inbox()
    waits, numbers = _read_waits(), _read_events()
    rows = [Row(status="")] * count
    for id, status, wanted, worker, epoch, wakes, is_suspect, crashes, parent, parent_key, last in _select(RUNS):
        index = _index(id)
        demand(numbers[index] == [*range(1, last + 1)], "the numbers of a run's events have a gap or come twice")
        demand(len(dict(steps[index])) == len(steps[index]), "two records of one step stand")
        rows[index] = Row(
            status=status,
            wanted=wanted,
            worker=worker,
            epoch=epoch,
            wakes=wakes,
            is_fresh=epoch == 0 and wakes == 0,
            steps=tuple(sorted(steps[index])),
            inbox=tuple(inbox[index]),
            tokens=tuple(sorted(tokens[index])),
            waits=tuple(waits[index]),
            superseded=tuple(sorted({*superseded[index]})),
            is_suspect=bool(is_suspect),
            crashes=crashes,
            parent=None if parent is None else _index(parent),
            parent_key=parent_key,
            holder=None if worker is None else (worker, epoch),
        )
    return World(tuple(rows), read_workers(), ())


def read_workers() -> tuple[WorkerRow, ...]:
    """Read the workers."""
    now = database_seconds()
    return tuple(WorkerRow(id, state, now - seen <= lease, batch) for id, state, seen, lease, batch in _select(WORKERS))


def comparable(row: Row) -> Row:
    """Give the row without what only the model observes, and in an order where the tables have none."""
    return row._replace(
        waits=tuple(sorted(row.waits, key=str)),
        inbox=tuple(sorted(row.inbox)),
        holder=None if row.worker is None else (row.worker, row.epoch),
        is_fresh=False,
        acted=False,
        time_came=False,
    )


def _select(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _index(id: UUID | str) -> int:
    """Give a run's index by its id, which SQLite keeps as text."""
    return (id.int if isinstance(id, UUID) else int(id, 16)) - 1


def _read_steps(which: str) -> dict[int, Steps]:
    steps: dict[int, Steps] = defaultdict(tuple)
    for id, key, status in _select(STEPS + which):
        steps[_index(id)] += ((key, status),)
    return steps


def _read_inbox() -> tuple[dict[int, list[Message]], dict[int, list[str]]]:
    inbox: dict[int, list[Message]] = defaultdict(list)
    tokens: dict[int, list[str]] = defaultdict(list)
    for id, name, token, text, consumed_at in _select(INBOX):
        index = _index(id)
        tokens[index].append(token)
        if consumed_at is None:
            data = json.loads(text)
            inbox[index].append(Message(name, token, data.get("status", "") if isinstance(data, dict) else ""))
    return inbox, tokens


def _read_waits() -> dict[int, list[WaitRecord]]:
    waits: dict[int, list[WaitRecord]] = defaultdict(list)
    for id, kind, key, name, due_at, needed in _select(WAITS):
        # SQLite gives times without their zone.
        at = due_at and (due_at if due_at.tzinfo else due_at.replace(tzinfo=UTC)).astimezone(UTC)
        waits[_index(id)].append(WaitRecord(kind, key, name, at, needed))
    return waits


def _read_events() -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for id, number in _select(EVENTS):
        numbers[_index(id)].append(number)
    return numbers
