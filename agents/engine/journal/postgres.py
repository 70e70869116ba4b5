"""The journal's tables in PostgreSQL: rows travel as an array per column, statements in a pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any, cast
from uuid import UUID

import orjson
import psycopg

from agents.engine.call_records import CallsChange
from agents.engine.connecting import with_patience
from agents.engine.happening_records import EmittedRecord, registration
from agents.engine.journal import postgres_statements as sql
from agents.engine.journal.postgres_arrays import adapt, array, columns
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
    StepRecord,
    WaitRecord,
)
from agents.engine.trust_records import TrustChange

QUEUE_CHANNEL = "agentsite_queue"
LIVE_CHANNEL = "agentsite_live"
LOWEST_RANK = -(2**63)
BY_INDEX = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""Every statement here names its rows by key. Where nobody has analyzed the tables yet, the planner would read them
whole, in each batch."""


class PostgresStore(Store):
    """The journal's tables in PostgreSQL. `parameters` are psycopg's; `patience` bounds a statement, in seconds."""

    def __init__(self, parameters: Mapping[str, Any], *, patience: float = 4.0) -> None:
        self.parameters = dict(parameters)
        self.patience = patience
        self._connection: psycopg.Connection[Any] | None = None
        self._low_rank = LOWEST_RANK
        self._gathered: list[tuple[str, Sequence[Any]]] = []
        self._to_tell: list[str] = []
        self._holds_interest = False
        """Whether the batch that was noted last has the lock by which nobody's interest goes unnoticed."""

    @property
    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(**self._connect_parameters(), autocommit=True)
            adapt(self._connection)
        return self._connection

    def _connect_parameters(self) -> dict[str, Any]:
        options = with_patience(self.parameters.get("options", ""), self.patience)
        return {**self.parameters, "options": f"{options} {BY_INDEX}"}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Send statements without waiting for the answers of those before, until one is asked for or all is committed.

        Each wait costs the journal's thread the interpreter, which the busy loop then keeps for a while.
        """
        with typed_errors():
            connection = self.connection
            try:
                with connection.pipeline():
                    connection.execute("BEGIN")
                    self._gathered, self._to_tell = [], []
                    yield
                    self._execute("COMMIT")
                    # A transaction that tells something keeps all others that do from committing until it is on disk.
                    if self._to_tell:
                        connection.execute(sql.TELL, (self._to_tell,))
            except BaseException:
                if not connection.closed:
                    connection.rollback()
                raise

    def _add(self, statement: str, parameters: Sequence[Any]) -> None:
        """Send a statement with others of the batch that need not see what it does: all of them as one."""
        self._gathered.append((statement, parameters))

    def _execute(self, statement: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Send a statement after those that were added before it."""
        added, self._gathered = self._gathered, []
        if added:
            whole = sql.together(tuple(statement for statement, _ in added))
            self.connection.execute(whole, [parameter for _, parameters in added for parameter in parameters])
        return self.connection.execute(statement, parameters)

    def lock_runs(self, ids: Sequence[UUID]) -> dict[UUID, RunRow]:
        rows = self.connection.execute(sql.LOCK_RUNS, (array("uuid", ids),)).fetchall()
        return {row[0]: RunRow(*row) for row in rows}

    def update_runs(self, rows: Sequence[RunRow]) -> None:
        # A run that goes on changes in its counters only: half the columns, most of the time.
        if counted := [sql.counters_of(row) for row in rows if row.status == "running"]:
            self._add(sql.COUNT_RUNS, columns(sql.RUN_COUNTERS, counted))
        if moved := [sql.columns_of_run(row) for row in rows if row.status != "running"]:
            self._add(sql.UPDATE_RUNS, columns(sql.RUN_COLUMNS, moved))

    def insert_runs(self, runs: Sequence[NewRun]) -> None:
        rows = [
            (
                run.child.id,
                run.workspace_id,
                run.child.target.agent_version_id,
                run.child.target.workflow,
                run.parent_id,
                run.child.parent_key,
                run.root_id,
                run.depth,
                run.child.priority,
                run.rank,
                run.child.input,
                run.child.created_at,
                run.child.tainted,
                run.child.tools,
                run.child.budget,
                run.child.deadline_at,
            )
            for run in runs
        ]
        self._execute(sql.INSERT_RUNS, columns(sql.NEW_RUN_COLUMNS, rows))

    def next_ranks(self, workspace_id: int, count: int) -> list[int]:
        row = self._execute(
            "UPDATE agents_workspace SET queue_tag = greatest(queue_tag, %s) + %s WHERE id = %s RETURNING queue_tag",
            (time.time_ns() // 1000, RUN_COST_US * count, workspace_id),
        ).fetchone()
        assert row is not None
        return [row[0] - RUN_COST_US * i for i in range(count - 1, -1, -1)]

    def write_steps(self, changes: Sequence[Change], now: datetime) -> None:
        execute = self._execute
        if superseded := [(c.run_id, key) for c in changes for key in c.superseded]:
            execute(sql.SUPERSEDE_STEPS, columns(sql.STEP_KEY, superseded))
        steps = StepWrites.of(changes)
        if steps.plain:
            plain = [(run_id, *sql.columns_of_plain_step(step)) for run_id, step in steps.plain]
            self._add(sql.INSERT_PLAIN_STEPS, columns(sql.PLAIN_STEP, plain))
        if steps.new:
            new = [(run_id, *sql.columns_of_new_step(step)) for run_id, step in steps.new]
            self._add(sql.INSERT_STEPS, columns(sql.NEW_STEP, new))
        if steps.old:
            old = [(run_id, *sql.changes_of_step(step)) for run_id, step in steps.old]
            self._add(sql.UPDATE_STEPS, columns(sql.STEP_CHANGES, old))
        if larges := [(large.id, c.run_id, large.data) for c in changes for large in c.larges]:
            self._add(sql.INSERT_LARGES, columns(sql.LARGE, larges))
        if consumed := [id for c in changes for id in c.consumed]:
            execute("UPDATE agents_inbox SET consumed_at=%s, data=NULL WHERE id = ANY(%s)", (now, consumed))
        if streamed := [(c.run_id, key) for c in changes for key in c.streamed]:
            execute(sql.DROP_PARTIALS, columns(sql.STEP_KEY, streamed))
        if artifacts := [(c.workspace_id, c.run_id, *sql.columns_of_artifact(a)) for c in changes for a in c.artifacts]:
            execute(sql.INSERT_ARTIFACTS, columns(sql.ARTIFACT, artifacts))

    def write_trust(self, changes: Sequence[tuple[Change, TrustChange]]) -> None:
        execute = self._execute
        if tainted := [(change.run_id, key) for change, trust in changes for key in trust.tainted]:
            execute(sql.TAINT_RUNS, ([run_id for run_id, _ in tainted],))
            execute(sql.TAINT_STEPS, columns(sql.STEP_KEY, tainted))
        if withdrawn := [(change.run_id, key) for change, trust in changes for key in trust.withdrawn]:
            execute(sql.WITHDRAW_APPROVALS, columns(sql.STEP_KEY, withdrawn))
        if asked := [
            (change.workspace_id, change.run_id, *sql.columns_of_approval(approval))
            for change, trust in changes
            for approval in trust.approvals
        ]:
            execute(sql.INSERT_APPROVALS, columns(sql.APPROVAL, asked))

    def write_calls(self, changes: Sequence[tuple[Change, CallsChange]], now: datetime) -> None:
        execute = self._execute
        if new := [(change.run_id, call) for change, calls in changes for call in calls.new]:
            rows = [(run_id, *sql.columns_of_call(call)) for run_id, call in new]
            execute(sql.INSERT_CALLS, columns(sql.CALL, rows))
            execute(sql.INSERT_TASKS, (now, [call.message for _, call in new]))
        if dropped := [id for _, calls in changes for id in calls.dropped]:
            execute(sql.DROP_CALLS, (dropped,))

    def write_emitted(self, events: Sequence[tuple[int, UUID, EmittedRecord]]) -> None:
        rows = [(workspace_id, run_id, *event) for workspace_id, run_id, event in events]
        self._execute(sql.INSERT_EMITTED, columns(sql.EMITTED_COLUMNS, rows))

    def write_listens(self, changes: Sequence[Change]) -> None:
        if new := [registration(one) for change in changes for one in change.listens]:
            self._execute(sql.LISTEN, columns(sql.LISTENING, new))
        if over := [(change.run_id, key) for change in changes for key in change.deaf]:
            self._execute(sql.UNLISTEN, columns(sql.STEP_KEY, over))

    def wanted_events(self, asked: AbstractSet[Told]) -> Callable[[], AbstractSet[Told]]:
        # The lock was asked for by the statement that noted the batch: this one sees what was committed before it.
        found = self._execute(sql.WANTED, (_json(sql.TOLD_COLUMNS, patterned(asked)),))
        return lambda: set(found.fetchall()) if self._holds_interest else asked

    def insert_events(self, events: Sequence[tuple[UUID, int, EventRecord]]) -> None:
        rows = [(run_id, number, event.kind, event.at, event.data) for run_id, number, event in events]
        self._add(sql.INSERT_EVENTS, columns(sql.EVENT_COLUMNS, rows))

    def insert_messages(self, messages: Sequence[MessageRecord], now: datetime) -> None:
        rows = [(m.run_id, m.name, m.token, m.data) for m in messages]
        self._add(sql.INSERT_MESSAGES, (now, *columns(sql.MESSAGE_COLUMNS, rows)))

    def waits_of(self, ids: Sequence[UUID]) -> dict[UUID, list[WaitRecord]]:
        if not ids:
            return {}
        rows = self.connection.execute(
            "SELECT run_id, kind, key, name, due_at, needed, data FROM agents_wait WHERE run_id = ANY(%s)"
            " ORDER BY run_id",
            (list(ids),),
        ).fetchall()
        return {
            run_id: [WaitRecord(*row[1:]) for row in group]
            for run_id, group in groupby(rows, key=lambda row: cast(UUID, row[0]))
        }

    def insert_waits(self, waits: Sequence[tuple[UUID, WaitRecord]], now: datetime) -> None:
        rows = [(id, w.kind, w.key, w.name, w.due_at, w.needed, w.data) for id, w in waits]
        self._add(sql.INSERT_WAITS, (now, *columns(sql.WAIT_COLUMNS, rows)))

    def delete_waits(self, ids: Iterable[UUID]) -> None:
        self._execute("DELETE FROM agents_wait WHERE run_id = ANY(%s)", (list(ids),))

    def claim(self, worker_id: int, request: ClaimRequest, now: datetime) -> Callable[[], list[Claimed]]:
        if request.is_empty and request.full:
            suspects = self.connection.execute(
                sql.CLAIM_SUSPECT, (LOWEST_RANK, worker_id, 1, worker_id, now)
            ).fetchall()
            if suspects:
                return lambda: [Claimed(*row[:-1]) for row in suspects]
        # Below the low-water rank there are mostly dead index entries of runs that were claimed a moment ago.
        low = LOWEST_RANK if request.full else self._low_rank
        cursor = self.connection.execute(sql.CLAIM, (low, worker_id, request.limit, worker_id, now))

        def claimed() -> list[Claimed]:
            rows = cursor.fetchall()
            rows.sort(key=lambda row: cast(int, row[-1]))
            self._low_rank = rows[-1][-1] if len(rows) == request.limit else LOWEST_RANK
            return [Claimed(*row[:-1]) for row in rows]

        return claimed

    def note_batch(self, worker_id: int, number: int) -> Callable[[], bool]:
        cursor = self.connection.execute(sql.NOTE_BATCH, (number, worker_id, number))

        def is_new() -> bool:
            row = cursor.fetchone()
            self._holds_interest = row is not None and row[0]
            return row is not None

        return is_new

    def has_due_runs(self) -> bool:
        with typed_errors():
            found = self.connection.execute("SELECT 1 FROM agents_run WHERE status='queued' LIMIT 1").fetchone()
        return found is not None

    def last_batch(self, worker_id: int) -> int:
        with typed_errors():
            row = self.connection.execute("SELECT batch FROM agents_worker WHERE id=%s", (worker_id,)).fetchone()
        return row[0] if row else 0

    def announce(self, *, live: bool, queue: bool) -> None:
        self._to_tell = [channel for channel, is_told in ((QUEUE_CHANNEL, queue), (LIVE_CHANNEL, live)) if is_told]

    def histories(self, ids: Sequence[UUID]) -> dict[UUID, History]:
        with typed_errors():
            # The wakes are read first and by a statement of their own: a message that comes later also counts later.
            found = self._select_runs(ids)
            for row in self.connection.execute(sql.HISTORY_STEPS, (list(ids),)):
                found[row[0]].steps[row[1]] = StepRecord(*row[1:])
            self._add_messages(found)
        return found

    def messages(self, run_id: UUID) -> History:
        with typed_errors():
            found = self._select_runs([run_id])
            self._add_messages(found)
        return found.get(run_id) or History(0, "")

    def large(self, id: UUID) -> bytes:
        with typed_errors():
            row = self.connection.execute("SELECT data FROM agents_largeoutcome WHERE id=%s", (id,)).fetchone()
        assert row is not None
        return bytes(row[0])

    def watch(self, worker_id: int) -> list[tuple[UUID, int, int, str]]:
        with typed_errors():
            return self.connection.execute(
                "SELECT id, epoch, wakes, wanted FROM agents_run WHERE worker_id=%s AND status='running'", (worker_id,)
            ).fetchall()

    def _select_runs(self, ids: Sequence[UUID]) -> dict[UUID, History]:
        rows = self.connection.execute("SELECT id, wakes, wanted FROM agents_run WHERE id = ANY(%s)", (list(ids),))
        return {row[0]: History(row[1], row[2]) for row in rows}

    def _add_messages(self, found: dict[UUID, History]) -> None:
        for row in self.connection.execute(
            "SELECT run_id, name, token, data, id FROM agents_inbox"
            " WHERE consumed_at IS NULL AND run_id = ANY(%s) ORDER BY id",
            (list(found),),
        ):
            found[row[0]].messages.append(MessageRecord(*row))


def _json(names: Collection[str], rows: Iterable[Sequence[Any]]) -> str:
    """Give the parameter of a recordset."""
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()
