"""The journal's tables in SQLite.

One writer at a time is SQLite's own rule, so BEGIN IMMEDIATE takes the place of row locks.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, cast
from uuid import UUID

import orjson

from agents.engine.call_records import CallRecord, CallsChange
from agents.engine.canonical import encode
from agents.engine.journal import sqlite_statements as sql
from agents.engine.journal.store import RUN_COST_US, NewRun, StepWrites, Store, typed_errors
from agents.engine.records import (
    Change,
    Claimed,
    ClaimRequest,
    EventRecord,
    History,
    MessageRecord,
    RunRow,
    StepRecord,
    WaitRecord,
)
from agents.engine.trust_records import ApprovalRecord, TrustChange

LONG_BATCH, COURTESY = 0.004, 0.003
"""After a batch of so many seconds the file is left to other writers for so many: SQLite does not queue them, one that
waits looks again now and then, and must find the file free."""


class SqliteStore(Store):
    """The journal's tables in one SQLite file."""

    def __init__(self, path: str, *, busy_timeout: float = 20.0, synchronous: str = "FULL") -> None:
        self.path = path
        self.busy_timeout = busy_timeout
        self.synchronous = synchronous
        self._connection: sqlite3.Connection | None = None
        self._leave_free_until = 0.0

    @property
    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            opened = sqlite3.connect(
                self.path,
                timeout=self.busy_timeout,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            try:
                opened.execute("PRAGMA journal_mode=WAL")
                opened.execute(f"PRAGMA synchronous={self.synchronous}")
            except sqlite3.Error:
                # Half set up it would lose commits when the power fails.
                opened.close()
                raise
            self._connection = opened
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        time.sleep(max(0.0, self._leave_free_until - time.monotonic()))
        with typed_errors():
            self.connection.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            try:
                yield
                self.connection.execute("COMMIT")
                ended = time.monotonic()
                self._leave_free_until = ended + COURTESY if ended - began > LONG_BATCH else 0.0
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def lock_runs(self, ids: Sequence[UUID]) -> dict[UUID, RunRow]:
        text = self.connection.execute(sql.LOCK_RUNS, (_ids(ids),)).fetchone()[0]
        rows = ((UUID(row[0]), *row[1:14], _when(row[14])) for row in orjson.loads(text))
        return {row[0]: RunRow(*row) for row in rows}

    def update_runs(self, rows: Sequence[RunRow]) -> None:
        # A run that goes on changes in its counters only: half the columns, most of the time.
        sql.COUNT_RUNS.write(self.connection, [(r.id.hex, *_counters(r)) for r in rows if r.status == "running"])
        sql.UPDATE_RUNS.write(
            self.connection,
            [
                (
                    row.id.hex,
                    row.status,
                    row.reason,
                    row.wanted,
                    row.worker_id,
                    row.epoch,
                    *_counters(row),
                    row.output,
                    row.error,
                    _stamp(row.finished_at),
                )
                for row in rows
                if row.status != "running"
            ],
        )

    def insert_runs(self, runs: Sequence[NewRun]) -> None:
        sql.INSERT_RUNS.write(
            self.connection,
            [
                (
                    run.child.id.hex,
                    run.workspace_id,
                    run.child.target.agent_version_id,
                    run.child.target.workflow,
                    run.parent_id.hex,
                    run.child.parent_key,
                    run.root_id.hex,
                    run.depth,
                    run.child.priority,
                    run.rank,
                    run.child.input,
                    _stamp(run.child.created_at),
                    run.child.tainted,
                    run.child.tools,
                    None if run.child.budget is None else encode(run.child.budget),
                    _stamp(run.child.deadline_at),
                )
                for run in runs
            ],
        )

    def next_ranks(self, workspace_id: int, count: int) -> list[int]:
        now = time.time_ns() // 1000
        cursor = self.connection.execute(
            "UPDATE agents_workspace SET queue_tag = max(queue_tag, ?) + ? WHERE id = ? RETURNING queue_tag",
            (now, RUN_COST_US * count, workspace_id),
        )
        last = cursor.fetchall()[0][0]
        return [last - RUN_COST_US * i for i in range(count - 1, -1, -1)]

    def write_steps(self, changes: Sequence[Change], now: datetime) -> None:
        run = self.connection.executemany
        if superseded := [(c.run_id.hex, key) for c in changes for key in c.superseded]:
            run("UPDATE agents_step SET superseded=1 WHERE run_id=? AND key=? AND NOT superseded", superseded)
        steps = StepWrites.of(changes)
        sql.INSERT_PLAIN_STEPS.write(self.connection, [_plain_step_row(id.hex, step) for id, step in steps.plain])
        sql.INSERT_STEPS.write(
            self.connection,
            [(*_step_row(id.hex, step), step.kind, step.name, _stamp(step.started_at)) for id, step in steps.new],
        )
        sql.UPDATE_STEPS.write(self.connection, [_step_row(id.hex, step) for id, step in steps.old])
        if larges := [(large.id.hex, c.run_id.hex, large.data) for c in changes for large in c.larges]:
            run("INSERT INTO agents_largeoutcome (id, run_id, data) VALUES (?,?,?)", larges)
        if consumed := [(_stamp(now), id) for c in changes for id in c.consumed]:
            run("UPDATE agents_inbox SET consumed_at=?, data=NULL WHERE id=?", consumed)
        if streamed := [(c.run_id.hex, key) for c in changes for key in c.streamed]:
            run("DELETE FROM agents_partial WHERE run_id=? AND key=?", streamed)
        if artifacts := [_artifact_row(c, a) for c in changes for a in c.artifacts]:
            run(
                "INSERT INTO agents_artifact (id, workspace_id, run_id, key, name, media_type, size, address,"
                " created_at) VALUES (?,?,?,?,?,?,?,?,?)",
                artifacts,
            )

    def write_trust(self, changes: Sequence[tuple[Change, TrustChange]]) -> None:
        run = self.connection.executemany
        tainted = [(change.run_id.hex, key) for change, trust in changes for key in trust.tainted]
        run(sql.TAINT_RUN, [(run_id,) for run_id, _ in tainted])
        run(sql.TAINT_STEP, tainted)
        run(sql.WITHDRAW_APPROVALS, [(change.run_id.hex, key) for change, trust in changes for key in trust.withdrawn])
        run(
            sql.INSERT_APPROVALS,
            [_approval_row(change, approval) for change, trust in changes for approval in trust.approvals],
        )

    def write_calls(self, changes: Sequence[tuple[Change, CallsChange]], now: datetime) -> None:
        run = self.connection.executemany
        new = [(change.run_id.hex, call) for change, calls in changes for call in calls.new]
        run(sql.INSERT_CALLS, [_call_row(run_id, call) for run_id, call in new])
        run(sql.INSERT_TASKS, [(call.message, _stamp(now)) for _, call in new])
        run(sql.DROP_CALLS, [(id.hex,) for _, calls in changes for id in calls.dropped])

    def insert_events(self, events: Sequence[tuple[UUID, int, EventRecord]]) -> None:
        sql.INSERT_EVENTS.write(
            self.connection,
            [(run_id.hex, number, event.kind, _stamp(event.at), event.data) for run_id, number, event in events],
        )

    def insert_messages(self, messages: Sequence[MessageRecord], now: datetime) -> None:
        stamp = _stamp(now)
        sql.INSERT_MESSAGES.write(self.connection, [(m.run_id.hex, m.name, m.token, m.data, stamp) for m in messages])

    def waits_of(self, ids: Sequence[UUID]) -> dict[UUID, list[WaitRecord]]:
        if not ids:
            return {}
        cursor = self.connection.execute(
            "SELECT run_id, kind, key, name, due_at, needed, data FROM agents_wait"
            " WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY run_id",
            (_ids(ids),),
        )
        return {
            UUID(run_id): [WaitRecord(r[1], r[2], r[3], _when(r[4]), r[5], r[6]) for r in rows]
            for run_id, rows in groupby(cursor, key=lambda row: cast(str, row[0]))
        }

    def insert_waits(self, waits: Sequence[tuple[UUID, WaitRecord]], now: datetime) -> None:
        stamp = _stamp(now)
        sql.INSERT_WAITS.write(
            self.connection,
            [(id.hex, w.kind, w.key, w.name, _stamp(w.due_at), w.needed, w.data, stamp) for id, w in waits],
        )

    def delete_waits(self, ids: Iterable[UUID]) -> None:
        self.connection.execute(
            "DELETE FROM agents_wait WHERE run_id IN (SELECT value FROM json_each(?))", (_ids(ids),)
        )

    def claim(self, worker_id: int, request: ClaimRequest, now: datetime) -> Callable[[], list[Claimed]]:
        rows: list[list[Any]] = []
        if request.is_empty and request.full:
            rows = self._due(sql.DUE_SUSPECTS, worker_id, 1)
        rows = rows or self._due(sql.DUE_RUNS, worker_id, request.limit)
        if rows:
            ids = orjson.dumps([row[0] for row in rows]).decode()
            self.connection.execute(sql.CLAIM, (worker_id, _stamp(now), ids))
        return lambda: [_claimed(row) for row in rows]

    def _due(self, statement: str, worker_id: int, limit: int) -> list[list[Any]]:
        text = self.connection.execute(statement, (worker_id, limit)).fetchone()[0]
        return cast(list[list[Any]], orjson.loads(text))

    def note_batch(self, worker_id: int, number: int) -> Callable[[], bool]:
        statement = "UPDATE agents_worker SET batch=? WHERE id=? AND batch<?"
        is_new = self.connection.execute(statement, (number, worker_id, number)).rowcount == 1
        return lambda: is_new

    def has_due_runs(self) -> bool:
        with self._reading():
            found = self.connection.execute("SELECT 1 FROM agents_run WHERE status='queued' LIMIT 1").fetchone()
        return found is not None

    def last_batch(self, worker_id: int) -> int:
        with self._reading():
            row = self.connection.execute("SELECT batch FROM agents_worker WHERE id=?", (worker_id,)).fetchone()
        return row[0] if row else 0

    def announce(self, *, live: bool, queue: bool) -> None:
        """Nothing to send: whoever listens sees `PRAGMA data_version` change."""

    def histories(self, ids: Sequence[UUID]) -> dict[UUID, History]:
        with self._reading():
            found = {UUID(r[0]): History(r[1], r[2]) for r in self._select_runs(ids)}
            for row in self.connection.execute(
                "SELECT run_id, key, kind, name, started_at, label, status, effect, attempt, attempts, digest,"
                " CASE WHEN status='succeeded' THEN NULL ELSE input END, outcome, large, error, input_tokens,"
                " output_tokens, cost_microusd, finished_at FROM agents_step"
                " WHERE NOT superseded AND run_id IN (SELECT value FROM json_each(?))",
                (_ids(ids),),
            ):
                found[UUID(row[0])].steps[row[1]] = _step(row)
            self._add_messages(found)
        return found

    def messages(self, run_id: UUID) -> History:
        with self._reading():
            found = {UUID(r[0]): History(r[1], r[2]) for r in self._select_runs([run_id])}
            self._add_messages(found)
        return found.get(run_id) or History(0, "")

    def large(self, id: UUID) -> bytes:
        with self._reading():
            row = self.connection.execute("SELECT data FROM agents_largeoutcome WHERE id=?", (id.hex,)).fetchone()
        return cast(bytes, row[0])

    def watch(self, worker_id: int) -> list[tuple[UUID, int, int, str]]:
        with self._reading():
            rows = self.connection.execute(
                "SELECT id, epoch, wakes, wanted FROM agents_run WHERE worker_id=? AND status='running'", (worker_id,)
            ).fetchall()
        return [(UUID(row[0]), row[1], row[2], row[3]) for row in rows]

    def _select_runs(self, ids: Sequence[UUID]) -> sqlite3.Cursor:
        return self.connection.execute(
            "SELECT id, wakes, wanted FROM agents_run WHERE id IN (SELECT value FROM json_each(?))", (_ids(ids),)
        )

    def _add_messages(self, found: dict[UUID, History]) -> None:
        for row in self.connection.execute(
            "SELECT run_id, name, token, data, id FROM agents_inbox"
            " WHERE consumed_at IS NULL AND run_id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (_ids(found),),
        ):
            run_id = UUID(row[0])
            found[run_id].messages.append(MessageRecord(run_id, *row[1:]))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with typed_errors():
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                # Some errors have ended the transaction already.
                if self.connection.in_transaction:
                    self.connection.execute("COMMIT")


_counters = attrgetter(*sql.COUNTERS)
_columns_of_approval = attrgetter(*sql.APPROVAL)
_columns_of_call = attrgetter(*sql.CALL)


def _ids(ids: Iterable[UUID]) -> str:
    return orjson.dumps([id.hex for id in ids]).decode()


def _stamp(at: datetime | None) -> str | None:
    """Give the text in which Django keeps a datetime in SQLite."""
    if at is None:
        return None
    # Nearly all times are in UTC already: then only the offset is cut off.
    return at.isoformat(" ")[:-6] if at.tzinfo is UTC else str(at.astimezone(UTC).replace(tzinfo=None))


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _step_row(run_id: str, step: StepRecord) -> tuple[Any, ...]:
    return (
        run_id,
        step.key,
        step.label,
        step.status,
        step.effect,
        step.attempt,
        step.attempts,
        step.digest,
        step.input,
        step.outcome,
        step.large.hex if step.large else None,
        step.error,
        step.input_tokens,
        step.output_tokens,
        step.cost_microusd,
        _stamp(step.finished_at),
    )


def _plain_step_row(run_id: str, step: StepRecord) -> tuple[Any, ...]:
    return (
        run_id,
        step.key,
        step.kind,
        step.name,
        step.label,
        step.effect,
        step.digest,
        step.input,
        step.outcome,
        _stamp(step.started_at),
        _stamp(step.finished_at),
    )


def _step(row: tuple[Any, ...]) -> StepRecord:
    started_at = _when(row[4])
    assert started_at is not None
    large = UUID(row[13]) if row[13] else None
    values = (*row[1:4], started_at, *row[5:13], large, *row[14:18], _when(row[18]), True)
    return StepRecord(*values)


def _artifact_row(change: Change, artifact: Any) -> tuple[Any, ...]:
    return (
        artifact.id.hex,
        change.workspace_id,
        change.run_id.hex,
        artifact.key,
        artifact.name,
        artifact.media_type,
        artifact.size,
        artifact.address,
        _stamp(artifact.created_at),
    )


def _approval_row(change: Change, approval: ApprovalRecord) -> tuple[Any, ...]:
    times = (_stamp(approval.asked_at), _stamp(approval.expires_at))
    return (approval.id.hex, change.workspace_id, change.run_id.hex, *_columns_of_approval(approval), *times)


def _call_row(run_id: str, call: CallRecord) -> tuple[Any, ...]:
    return (call.id.hex, run_id, *_columns_of_call(call), _stamp(call.queued_at))


def _claimed(row: Sequence[Any]) -> Claimed:
    parent, root, created_at = row[6], row[8], _when(row[14])
    assert created_at is not None
    ids = (UUID(parent) if parent else None, row[7], UUID(root) if root else None)
    flags = (bool(row[15]), bool(row[16]))
    values = (UUID(row[0]), *row[1:6], *ids, *row[9:14], created_at, *flags, *row[17:19], _when(row[19]), *row[20:])
    return Claimed(*values)
