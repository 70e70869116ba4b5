"""The journal's statements for PostgreSQL: arrays for updates, COPY for inserts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, LiteralString, cast
from uuid import UUID

import psycopg

from agents.engine.journal.store import RUN_COST_US, NewRun, Store, Unavailable, Unwritable
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

QUEUE_CHANNEL = "agentsite_queue"
LIVE_CHANNEL = "agentsite_live"
LOWEST_RANK = -(2**63)

LOCK_RUNS = """
SELECT id, status, reason, wanted, worker_id, epoch, wakes, last_event, steps_done, input_tokens, output_tokens,
 cost_microusd, NULL, NULL, finished_at
FROM agents_run WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
UPDATE_RUNS = """
UPDATE agents_run r SET status=v.status, reason=v.reason, wanted=v.wanted, worker_id=v.worker_id, epoch=v.epoch,
 wakes=v.wakes, last_event=v.last_event, steps_done=v.steps_done, input_tokens=v.input_tokens,
 output_tokens=v.output_tokens, cost_microusd=v.cost_microusd, output=coalesce(v.output, r.output), error=v.error,
 finished_at=v.finished_at
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::int[], %s::int[], %s::int[], %s::int[],
 %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::timestamptz[])
 AS v(id, status, reason, wanted, worker_id, epoch, wakes, last_event, steps_done, input_tokens, output_tokens,
 cost_microusd, output, error, finished_at)
WHERE r.id = v.id
"""
RUN_VALUES = attrgetter(
    "id",
    "status",
    "reason",
    "wanted",
    "worker_id",
    "epoch",
    "wakes",
    "last_event",
    "steps_done",
    "input_tokens",
    "output_tokens",
    "cost_microusd",
    "output",
    "error",
    "finished_at",
)
COUNT_RUNS = """
UPDATE agents_run r SET wakes=v.wakes, last_event=v.last_event, steps_done=v.steps_done, input_tokens=v.input_tokens,
 output_tokens=v.output_tokens, cost_microusd=v.cost_microusd
FROM unnest(%s::uuid[], %s::int[], %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[])
 AS v(id, wakes, last_event, steps_done, input_tokens, output_tokens, cost_microusd)
WHERE r.id = v.id
"""
COUNTERS = attrgetter("id", "wakes", "last_event", "steps_done", "input_tokens", "output_tokens", "cost_microusd")
COPY_STEPS = """
COPY agents_step (run_id, key, kind, name, started_at, label, status, effect, attempt, attempts, digest, input,
 outcome, large, error, input_tokens, output_tokens, cost_microusd, finished_at, superseded) FROM STDIN
"""
NEW_STEP_VALUES = attrgetter(
    "key",
    "kind",
    "name",
    "started_at",
    "label",
    "status",
    "effect",
    "attempt",
    "attempts",
    "digest",
    "input",
    "outcome",
    "large",
    "error",
    "input_tokens",
    "output_tokens",
    "cost_microusd",
    "finished_at",
)
UPDATE_STEPS = """
UPDATE agents_step s SET label=v.label, status=v.status, effect=v.effect, attempt=v.attempt, attempts=v.attempts,
 digest=v.digest, input=coalesce(v.input, s.input), outcome=v.outcome, large=v.large, error=v.error,
 input_tokens=v.input_tokens, output_tokens=v.output_tokens, cost_microusd=v.cost_microusd, finished_at=v.finished_at
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[], %s::text[], %s::text[],
 %s::text[], %s::text[], %s::uuid[], %s::text[], %s::int[], %s::int[], %s::bigint[], %s::timestamptz[])
 AS v(run_id, key, label, status, effect, attempt, attempts, digest, input, outcome, large, error, input_tokens,
 output_tokens, cost_microusd, finished_at)
WHERE s.run_id = v.run_id AND s.key = v.key AND NOT s.superseded
"""
STEP_VALUES = attrgetter(
    "key",
    "label",
    "status",
    "effect",
    "attempt",
    "attempts",
    "digest",
    "input",
    "outcome",
    "large",
    "error",
    "input_tokens",
    "output_tokens",
    "cost_microusd",
    "finished_at",
)
ARTIFACT_VALUES = attrgetter("id", "key", "name", "media_type", "size", "address", "created_at")
COPY_RUNS = """
COPY agents_run (id, workspace_id, agent_version_id, workflow, parent_id, parent_key, root_id, depth, priority, rank,
 input, created_at, status, reason, wanted, epoch, wakes, last_event, steps_done, input_tokens, output_tokens,
 cost_microusd, source, tags, idempotency_key, request_digest) FROM STDIN
"""
CLAIM = """
WITH c AS MATERIALIZED (
 SELECT id FROM agents_run WHERE status='queued' AND NOT suspect AND rank >= %s
 AND EXISTS (SELECT 1 FROM agents_worker w WHERE w.id = %s AND w.state IN ('alive', 'draining'))
 ORDER BY rank LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
UPDATE agents_run r SET status='running', worker_id=%s, epoch=epoch+1, reason='',
 started_at=coalesce(started_at, %s) FROM c WHERE r.id = c.id
RETURNING r.id, epoch, workspace_id, workflow, agent_version_id, input, parent_id, parent_key, root_id, depth,
 priority, wakes, wanted, last_event, created_at, suspect, rank
"""
CLAIM_SUSPECT = CLAIM.replace("NOT suspect", "suspect")
HISTORY_STEPS = """
SELECT run_id, key, kind, name, started_at, label, status, effect, attempt, attempts, digest,
 CASE WHEN status='succeeded' THEN NULL ELSE input END, outcome, large, error, input_tokens, output_tokens,
 cost_microusd, finished_at, TRUE
FROM agents_step WHERE NOT superseded AND run_id = ANY(%s)
"""


class PostgresStore(Store):
    """The journal's tables in PostgreSQL. `parameters` are psycopg's; `patience` bounds a statement, in seconds."""

    def __init__(self, parameters: Mapping[str, Any], *, patience: float = 4.0) -> None:
        self.parameters = dict(parameters)
        self.patience = patience
        self._connection: psycopg.Connection[Any] | None = None
        self._low_rank = LOWEST_RANK

    @property
    def connection(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(**self._connect_parameters(), autocommit=True)
        return self._connection

    def _connect_parameters(self) -> dict[str, Any]:
        milliseconds = int(self.patience * 1000)
        bounds = f"-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds}"
        options = f"{self.parameters.get('options', '')} {bounds}".strip()
        return {"connect_timeout": 5, "application_name": "agentsite journal", **self.parameters, "options": options}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with _typed_errors(), self.connection.transaction():
            yield

    def lock_runs(self, ids: Sequence[UUID]) -> dict[UUID, RunRow]:
        rows = self.connection.execute(LOCK_RUNS, (list(ids),)).fetchall()
        return {row[0]: RunRow(*row) for row in rows}

    def update_runs(self, rows: Sequence[RunRow]) -> None:
        # A run that goes on changes in its counters only: half the columns, most of the time.
        if counted := [COUNTERS(row) for row in rows if row.status == "running"]:
            self.connection.execute(COUNT_RUNS, _columns(counted))
        if moved := [RUN_VALUES(row) for row in rows if row.status != "running"]:
            self.connection.execute(UPDATE_RUNS, _columns(moved))

    def insert_runs(self, runs: Sequence[NewRun]) -> None:
        constants = ("queued", "", "", 0, 0, 1, 0, 0, 0, 0, "run", "[]", "", "")
        self._copy(
            COPY_RUNS,
            (
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
                    *constants,
                )
                for run in runs
            ),
        )

    def next_ranks(self, workspace_id: int, count: int) -> list[int]:
        row = self.connection.execute(
            "UPDATE agents_workspace SET queue_tag = greatest(queue_tag, %s) + %s WHERE id = %s RETURNING queue_tag",
            (time.time_ns() // 1000, RUN_COST_US * count, workspace_id),
        ).fetchone()
        assert row is not None
        return [row[0] - RUN_COST_US * i for i in range(count - 1, -1, -1)]

    def write_steps(self, changes: Sequence[Change], now: datetime) -> None:
        execute = self.connection.execute
        if superseded := [(c.run_id, key) for c in changes for key in c.superseded]:
            execute(
                "UPDATE agents_step s SET superseded=TRUE FROM unnest(%s::uuid[], %s::text[]) AS v(run_id, key)"
                " WHERE s.run_id=v.run_id AND s.key=v.key AND NOT s.superseded",
                _columns(superseded),
            )
        steps = [(change.run_id, step) for change in changes for step in change.steps.values()]
        if new := [(run_id, step) for run_id, step in steps if not step.is_stored]:
            self._copy(COPY_STEPS, ((run_id, *NEW_STEP_VALUES(step), False) for run_id, step in new))
        if old := [(run_id, *STEP_VALUES(step)) for run_id, step in steps if step.is_stored]:
            execute(UPDATE_STEPS, _columns(old))
        if larges := [(large.id, c.run_id, large.data) for c in changes for large in c.larges]:
            self._copy("COPY agents_largeoutcome (id, run_id, data) FROM STDIN", larges)
        if consumed := [id for c in changes for id in c.consumed]:
            execute("UPDATE agents_inbox SET consumed_at=%s, data=NULL WHERE id = ANY(%s)", (now, consumed))
        if streamed := [(c.run_id, key) for c in changes for key in c.streamed]:
            execute(
                "DELETE FROM agents_partial p USING unnest(%s::uuid[], %s::text[]) AS v(run_id, key)"
                " WHERE p.run_id=v.run_id AND p.key=v.key",
                _columns(streamed),
            )
        if artifacts := [(c.workspace_id, c.run_id, *ARTIFACT_VALUES(a)) for c in changes for a in c.artifacts]:
            self._copy(
                "COPY agents_artifact (workspace_id, run_id, id, key, name, media_type, size, address, created_at)"
                " FROM STDIN",
                artifacts,
            )

    def insert_events(self, events: Sequence[tuple[UUID, int, EventRecord]]) -> None:
        self._copy(
            "COPY agents_runevent (run_id, number, kind, at, data) FROM STDIN",
            ((run_id, number, event.kind, event.at, event.data) for run_id, number, event in events),
        )

    def insert_messages(self, messages: Sequence[MessageRecord], now: datetime) -> None:
        self.connection.execute(
            "INSERT INTO agents_inbox (run_id, name, token, data, created_at)"
            " SELECT v.*, %s::timestamptz FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS v"
            " ON CONFLICT (run_id, token) DO NOTHING",
            [now, *_columns([(m.run_id, m.name, m.token, m.data) for m in messages])],
        )

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
        self._copy(
            "COPY agents_wait (run_id, kind, key, name, due_at, needed, data, created_at) FROM STDIN",
            ((id, w.kind, w.key, w.name, w.due_at, w.needed, w.data, now) for id, w in waits),
        )

    def delete_waits(self, ids: Iterable[UUID]) -> None:
        self.connection.execute("DELETE FROM agents_wait WHERE run_id = ANY(%s)", (list(ids),))

    def claim(self, worker_id: int, request: ClaimRequest, now: datetime) -> list[Claimed]:
        if request.is_empty and request.full:
            suspects = self.connection.execute(CLAIM_SUSPECT, (LOWEST_RANK, worker_id, 1, worker_id, now)).fetchall()
            if suspects:
                return [Claimed(*row[:16]) for row in suspects]
        # Below the low-water rank there are mostly dead index entries of runs that were claimed a moment ago.
        low = LOWEST_RANK if request.full else self._low_rank
        rows = self.connection.execute(CLAIM, (low, worker_id, request.limit, worker_id, now)).fetchall()
        rows.sort(key=lambda row: cast(int, row[16]))
        self._low_rank = rows[-1][16] if len(rows) == request.limit else LOWEST_RANK
        return [Claimed(*row[:16]) for row in rows]

    def note_batch(self, worker_id: int, number: int) -> bool:
        statement = "UPDATE agents_worker SET batch=%s WHERE id=%s AND batch<%s"
        return self.connection.execute(statement, (number, worker_id, number)).rowcount == 1

    def last_batch(self, worker_id: int) -> int:
        with _typed_errors():
            row = self.connection.execute("SELECT batch FROM agents_worker WHERE id=%s", (worker_id,)).fetchone()
        return row[0] if row else 0

    def announce(self, *, live: bool, queue: bool) -> None:
        if queue:
            self.connection.execute(f"SELECT pg_notify('{QUEUE_CHANNEL}', '')")
        if live:
            self.connection.execute(f"SELECT pg_notify('{LIVE_CHANNEL}', '')")

    def histories(self, ids: Sequence[UUID]) -> dict[UUID, History]:
        with _typed_errors():
            # The wakes are read first and by a statement of their own: a message that comes later also counts later.
            found = self._select_runs(ids)
            for row in self.connection.execute(HISTORY_STEPS, (list(ids),)):
                found[row[0]].steps[row[1]] = StepRecord(*row[1:])
            self._add_messages(found)
        return found

    def messages(self, run_id: UUID) -> History:
        with _typed_errors():
            found = self._select_runs([run_id])
            self._add_messages(found)
        return found.get(run_id) or History(0, "")

    def large(self, id: UUID) -> bytes:
        with _typed_errors():
            row = self.connection.execute("SELECT data FROM agents_largeoutcome WHERE id=%s", (id,)).fetchone()
        assert row is not None
        return bytes(row[0])

    def watch(self, worker_id: int) -> list[tuple[UUID, int, int, str]]:
        with _typed_errors():
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

    def _copy(self, statement: LiteralString, rows: Iterable[Sequence[Any]]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
        # InternalError: the session was ended for idling in its transaction, as after a SIGSTOP.
        raise Unavailable(str(error)) from error
    except (psycopg.Error, ValueError, OverflowError) as error:
        # ValueError: a lone surrogate.
        raise Unwritable(str(error)) from error


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
