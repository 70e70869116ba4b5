"""The journal's tables in SQLite.

One writer at a time is SQLite's own rule, so BEGIN IMMEDIATE takes the place of row locks.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, cast
from uuid import UUID

import orjson

from agents.engine.call_records import CallsChange
from agents.engine.canonical import encode
from agents.engine.happening_records import EmittedRecord
from agents.engine.journal import sqlite_statements as sql
from agents.engine.journal.sqlite_rows import (
    approval_row,
    artifact_row,
    call_row,
    claimed_of,
    emitted_row,
    hex_ids,
    listening_row,
    moment,
    plain_step_row,
    stamp,
    step_of,
    step_row,
)
from agents.engine.journal.store import RUN_COST_US, NewRun, StepWrites, Store, typed_errors
from agents.engine.life import Told, patterned
from agents.engine.records import (
    Change,
    Claimed,
    ClaimRequest,
    EventRecord,
    History,
    MessageRecord,
    RunRow,
    WaitRecord,
)
from agents.engine.trust_records import TrustChange

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
        text = self.connection.execute(sql.LOCK_RUNS, (hex_ids(ids),)).fetchone()[0]
        rows = ((UUID(row[0]), *row[1:14], moment(row[14])) for row in orjson.loads(text))
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
                    stamp(row.finished_at),
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
                    stamp(run.child.created_at),
                    run.child.tainted,
                    run.child.tools,
                    None if run.child.budget is None else encode(run.child.budget),
                    stamp(run.child.deadline_at),
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
        sql.INSERT_PLAIN_STEPS.write(self.connection, [plain_step_row(id.hex, step) for id, step in steps.plain])
        sql.INSERT_STEPS.write(
            self.connection,
            [(*step_row(id.hex, step), step.kind, step.name, stamp(step.started_at)) for id, step in steps.new],
        )
        sql.UPDATE_STEPS.write(self.connection, [step_row(id.hex, step) for id, step in steps.old])
        if larges := [(large.id.hex, c.run_id.hex, large.data) for c in changes for large in c.larges]:
            run("INSERT INTO agents_largeoutcome (id, run_id, data) VALUES (?,?,?)", larges)
        if consumed := [(stamp(now), id) for c in changes for id in c.consumed]:
            run("UPDATE agents_inbox SET consumed_at=?, data=NULL WHERE id=?", consumed)
        if streamed := [(c.run_id.hex, key) for c in changes for key in c.streamed]:
            run("DELETE FROM agents_partial WHERE run_id=? AND key=?", streamed)
        if artifacts := [artifact_row(c, a) for c in changes for a in c.artifacts]:
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
            [approval_row(change, approval) for change, trust in changes for approval in trust.approvals],
        )

    def write_calls(self, changes: Sequence[tuple[Change, CallsChange]], now: datetime) -> None:
        run = self.connection.executemany
        new = [(change.run_id.hex, call) for change, calls in changes for call in calls.new]
        run(sql.INSERT_CALLS, [call_row(run_id, call) for run_id, call in new])
        run(sql.INSERT_TASKS, [(call.message, stamp(now)) for _, call in new])
        run(sql.DROP_CALLS, [(id.hex,) for _, calls in changes for id in calls.dropped])

    def write_emitted(self, events: Sequence[tuple[int, UUID, EmittedRecord]]) -> None:
        self.connection.executemany(sql.INSERT_EMITTED, [emitted_row(place, run, e) for place, run, e in events])

    def write_listens(self, changes: Sequence[Change]) -> None:
        sql.LISTEN.write(self.connection, [listening_row(one) for change in changes for one in change.listens])
        over = [(change.run_id.hex, key) for change in changes for key in change.deaf]
        self.connection.executemany(sql.UNLISTEN, over)

    def wanted_events(self, asked: AbstractSet[Told]) -> Callable[[], AbstractSet[Told]]:
        found = self.connection.execute(sql.WANTED, (encode(patterned(asked)),)).fetchall()
        return lambda: set(found)

    def insert_events(self, events: Sequence[tuple[UUID, int, EventRecord]]) -> None:
        sql.INSERT_EVENTS.write(
            self.connection,
            [(run_id.hex, number, event.kind, stamp(event.at), event.data) for run_id, number, event in events],
        )

    def insert_messages(self, messages: Sequence[MessageRecord], now: datetime) -> None:
        at = stamp(now)
        sql.INSERT_MESSAGES.write(self.connection, [(m.run_id.hex, m.name, m.token, m.data, at) for m in messages])

    def waits_of(self, ids: Sequence[UUID]) -> dict[UUID, list[WaitRecord]]:
        if not ids:
            return {}
        cursor = self.connection.execute(
            "SELECT run_id, kind, key, name, due_at, needed, data FROM agents_wait"
            " WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY run_id",
            (hex_ids(ids),),
        )
        return {
            UUID(run_id): [WaitRecord(r[1], r[2], r[3], moment(r[4]), r[5], r[6]) for r in rows]
            for run_id, rows in groupby(cursor, key=lambda row: cast(str, row[0]))
        }

    def insert_waits(self, waits: Sequence[tuple[UUID, WaitRecord]], now: datetime) -> None:
        at = stamp(now)
        sql.INSERT_WAITS.write(
            self.connection,
            [(id.hex, w.kind, w.key, w.name, stamp(w.due_at), w.needed, w.data, at) for id, w in waits],
        )

    def delete_waits(self, ids: Iterable[UUID]) -> None:
        self.connection.execute(
            "DELETE FROM agents_wait WHERE run_id IN (SELECT value FROM json_each(?))", (hex_ids(ids),)
        )

    def claim(self, worker_id: int, request: ClaimRequest, now: datetime) -> Callable[[], list[Claimed]]:
        rows: list[list[Any]] = []
        if request.is_empty and request.full:
            rows = self._due(sql.DUE_SUSPECTS, worker_id, 1)
        rows = rows or self._due(sql.DUE_RUNS, worker_id, request.limit)
        if rows:
            ids = orjson.dumps([row[0] for row in rows]).decode()
            self.connection.execute(sql.CLAIM, (worker_id, stamp(now), ids))
        return lambda: [claimed_of(row) for row in rows]

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
                " CASE WHEN status='succeeded' AND kind NOT IN ('call', 'each') THEN NULL ELSE input END, outcome,"
                " large, error, input_tokens, output_tokens, cost_microusd, finished_at FROM agents_step"
                " WHERE NOT superseded AND run_id IN (SELECT value FROM json_each(?))",
                (hex_ids(ids),),
            ):
                found[UUID(row[0])].steps[row[1]] = step_of(row)
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
            "SELECT id, wakes, wanted FROM agents_run WHERE id IN (SELECT value FROM json_each(?))", (hex_ids(ids),)
        )

    def _add_messages(self, found: dict[UUID, History]) -> None:
        for row in self.connection.execute(
            "SELECT run_id, name, token, data, id FROM agents_inbox"
            " WHERE consumed_at IS NULL AND run_id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (hex_ids(found),),
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
