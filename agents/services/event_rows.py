"""Writing events: those that are new, any number in one statement.

Every request that tells of an event does this, so it is written out. On PostgreSQL the statement also tells the
workers, and is a transaction of its own unless the caller has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection, transaction

from agents.engine.canonical import encode
from agents.engine.journal.postgres import QUEUE_CHANNEL
from agents.models import Event

_COLUMNS: Final = {
    "name": "text",
    "data": "text",
    "source": "text",
    "event_id": "text",
    "attributes": "text",
    "tainted": "boolean",
    "to_run_id": "uuid",
    "cause_id": "uuid",
    "replay_of_id": "bigint",
}
_NAMES: Final = ", ".join(_COLUMNS)
_TYPED: Final = ", ".join(f"{name} {type}" for name, type in _COLUMNS.items())
_TURN: Final = 0x656D << 32
"""Of PostgreSQL's advisory locks: with a workspace's number added, the turn of those who tell of many named events."""
_POSTGRES: Final = f"""
WITH turn AS MATERIALIZED (SELECT CASE WHEN %s THEN pg_advisory_xact_lock(%s) END), told AS (
 INSERT INTO agents_event (workspace_id, received_at, occurred_at, {_NAMES})
 SELECT %s, statement_timestamp(), coalesce(occurred_at, statement_timestamp()), {_NAMES}
 FROM turn, json_to_recordset(%s::json) AS v(occurred_at timestamptz, {_TYPED})
 ON CONFLICT DO NOTHING RETURNING id, source, event_id, received_at)
SELECT told.*, (SELECT pg_notify('{QUEUE_CHANNEL}', '')) FROM told
"""  # noqa: S608 (names of our own)
_SQLITE: Final = f"""
INSERT INTO agents_event (workspace_id, received_at, occurred_at, {_NAMES})
SELECT %s, %s, {", ".join(f"json_extract(value, '$.{name}')" for name in ("occurred_at", *_COLUMNS))} FROM json_each(%s)
WHERE TRUE ON CONFLICT DO NOTHING RETURNING id, source, event_id
"""  # noqa: S608 (names of our own)


@dataclass(slots=True)
class EventRow:
    """An event that is not written yet. `data` and `attributes` are JSON texts, what `event` has of both is read back.

    Without an `occurred_at` it happens when it is written.
    """

    event: Event
    data: str | None
    attributes: str | None
    occurred_at: datetime | None

    @property
    def key(self) -> tuple[str, str] | None:
        """Its source and its source's name for it, by which a second one is known."""
        return (self.event.source, self.event.event_id) if self.event.event_id else None

    def columns(self) -> dict[str, Any]:
        """Give what is written."""
        event = self.event
        return {
            "name": event.name,
            "data": self.data,
            "source": event.source,
            "event_id": event.event_id,
            "attributes": self.attributes,
            "occurred_at": self.occurred_at,
            "tainted": event.tainted,
            "to_run_id": event.to_run_id,
            "cause_id": event.cause_id,
            "replay_of_id": event.replay_of_id,
        }


def insert_new(workspace_id: int, rows: Sequence[EventRow]) -> list[Event]:
    """Write events but for those that were told of before; gives those it wrote, with their numbers and times."""
    # Numbers go up in the order of the rows, in whatever order the database gives them back.
    numbers = sorted(_insert(workspace_id, [row.columns() for row in rows]))
    named = {(source, id): (number, at) for number, source, id, at in numbers if id}
    nameless = iter([(number, at) for number, _, id, at in numbers if not id])
    written = []
    for row in rows:
        # Of two under one name the first is the one that was written.
        found = named.pop(row.key, None) if row.key else next(nameless)
        if found is not None:
            event = row.event
            event.pk, event.received_at = found
            event.occurred_at = row.occurred_at or event.received_at
            event._state.adding, event._state.db = False, connection.alias
            written.append(event)
    return written


def _insert(workspace_id: int, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, str, datetime]]:
    """Give number, source, id and time of those that were written."""
    # On SQLite one statement alone would wait for the file in SQLite's own way, which is slow.
    is_alone = connection.vendor == "sqlite" and not connection.in_atomic_block
    with transaction.atomic() if is_alone else nullcontext(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Who tells of the same events in another order would wait for us while we wait for them.
            takes_turns = sum(1 for row in rows if row["event_id"]) > 1
            cursor.execute(_POSTGRES, [takes_turns, _TURN + workspace_id, workspace_id, encode(rows)])
            return [row[:4] for row in cursor.fetchall()]
        now = datetime.now(UTC)
        adapted = [_for_sqlite(row, now) for row in rows]
        cursor.execute(_SQLITE, [workspace_id, _text(now), encode(adapted)])
        return [(*row, now) for row in cursor.fetchall()]


def _for_sqlite(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    ids = {name: row[name].hex for name in ("to_run_id", "cause_id") if row[name] is not None}
    return {**row, **ids, "occurred_at": _text(row["occurred_at"] or now)}


def _text(at: datetime) -> str:
    """Give a moment as Django keeps it in SQLite."""
    return str(at.astimezone(UTC).replace(tzinfo=None))
