"""The SQL of the journal for SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 128
"""The most rows that one statement writes."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A statement for any number of rows: `before`, then `row` for each, then `after`.

    sqlite3 lets go of the interpreter for each step of a statement and takes it back after; while the loop computes,
    that costs more than the step itself. So many rows are written in one step.
    """

    before: str
    row: str
    after: str = ""

    def write(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows by few statements; their sizes are powers of two, so that each is prepared once."""
        done, size = 0, MOST_ROWS
        while done < len(rows):
            while size > len(rows) - done:
                size //= 2
            statement = f"{self.before} VALUES {','.join([self.row] * size)} {self.after}"
            connection.execute(statement, [value for row in rows[done : done + size] for value in row])
            done += size


def _update(table: str, key: Sequence[str], values: Sequence[str], where: str = "") -> Bulk:
    """Give the statement that updates rows by their key; an input or output that is not given stays as it is."""
    names = (*key, *values)
    numbers = range(len(key) + 1, len(names) + 1)
    kept = ("input", "output")
    pairs = zip(values, numbers, strict=True)
    changes = ", ".join(
        f"{name}=coalesce(v.column{i}, {name})" if name in kept else f"{name}=v.column{i}" for name, i in pairs
    )
    same = " AND ".join(f"{table}.{name}=v.column{i}" for i, name in enumerate(key, 1))
    return Bulk(
        f"UPDATE {table} SET {changes} FROM (",  # noqa: S608 (names of our own)
        f"({','.join('?' * len(names))})",
        f") AS v WHERE {same}{where}",
    )


STEP_CHANGES = (
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
INSERT_STEPS = Bulk(
    f"INSERT INTO agents_step (run_id, key, {', '.join(STEP_CHANGES)}, kind, name, started_at, superseded)",
    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0)",
)
INSERT_PLAIN_STEPS = Bulk(
    "INSERT INTO agents_step (run_id, key, kind, name, label, effect, digest, input, outcome, started_at, finished_at,"
    " status, attempt, input_tokens, output_tokens, superseded)",
    "(?,?,?,?,?,?,?,?,?,?,?,'succeeded',1,0,0,0)",
)
UPDATE_STEPS = _update("agents_step", ("run_id", "key"), STEP_CHANGES, " AND NOT agents_step.superseded")
COUNTERS = ("wakes", "last_event", "steps_done", "input_tokens", "output_tokens", "cost_microusd")
RUN_CHANGES = ("status", "reason", "wanted", "worker_id", "epoch", *COUNTERS, "output", "error", "finished_at")
COUNT_RUNS = _update("agents_run", ("id",), COUNTERS)
UPDATE_RUNS = _update("agents_run", ("id",), RUN_CHANGES)
INSERT_RUNS = Bulk(
    "INSERT INTO agents_run (id, workspace_id, agent_version_id, workflow, parent_id, parent_key, root_id, depth,"
    " status, reason, wanted, priority, rank, input, epoch, wakes, last_event, steps_done, input_tokens, output_tokens,"
    " cost_microusd, source, tags, idempotency_key, request_digest, created_at, tainted, tools, budget, deadline_at)",
    "(?,?,?,?,?,?,?,?,'queued','','',?,?,?,0,0,1,0,0,0,0,'run','[]','','',?,?,?,?,?)",
)
INSERT_EVENTS = Bulk("INSERT INTO agents_runevent (run_id, number, kind, at, data)", "(?,?,?,?,?)")
INSERT_EMITTED = (
    "INSERT INTO agents_event (workspace_id, cause_id, name, data, source, occurred_at, tainted, event_id)"
    " VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING"
)
LISTEN = Bulk(
    "INSERT INTO agents_listener (workspace_id, run_id, key, pattern, filter, has_looked_back)"
    " SELECT v.column1, v.column2, v.column3, v.column4, v.column5, 0 FROM (",
    "(?,?,?,?,?,?)",
    ") AS v WHERE NOT EXISTS (SELECT 1 FROM agents_inbox i WHERE i.run_id=v.column2 AND i.name=v.column6"
    " AND i.consumed_at IS NULL) ON CONFLICT (run_id, key) DO UPDATE SET pattern=excluded.pattern,"
    " filter=excluded.filter, has_looked_back=0 WHERE (pattern, filter) IS NOT (excluded.pattern, excluded.filter)",
)
UNLISTEN = "DELETE FROM agents_listener WHERE run_id=? AND key=?"
WANTED = """
SELECT DISTINCT v.workspace_id, v.name FROM (SELECT json_extract(value, '$[0]') AS workspace_id,
 json_extract(value, '$[1]') AS name, json_extract(value, '$[2]') AS pattern FROM json_each(?)) v
WHERE EXISTS (SELECT 1 FROM agents_subscription s WHERE s.workspace_id=v.workspace_id AND s.pattern=v.pattern)
OR EXISTS (SELECT 1 FROM agents_listener l WHERE l.workspace_id=v.workspace_id AND l.pattern=v.pattern)
OR EXISTS (SELECT 1 FROM agents_webhookendpoint e, json_each(e.events) p
 WHERE e.workspace_id=v.workspace_id AND p.value=v.pattern)
"""
INSERT_WAITS = Bulk(
    "INSERT INTO agents_wait (run_id, kind, key, name, due_at, needed, data, created_at)", "(?,?,?,?,?,?,?,?)"
)
INSERT_MESSAGES = Bulk(
    "INSERT INTO agents_inbox (run_id, name, token, data, created_at)",
    "(?,?,?,?,?)",
    "ON CONFLICT (run_id, token) DO NOTHING",
)
APPROVAL = ("key", "kind", "subject", "tool", "effect", "why", "arguments", "form", "binding")
INSERT_APPROVALS = (
    f"INSERT INTO agents_approval (id, workspace_id, run_id, {', '.join(APPROVAL)}, asked_at, expires_at,"  # noqa: S608 (names of our own)
    " status, comment) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,'open','')"
)
WITHDRAW_APPROVALS = "UPDATE agents_approval SET status='withdrawn' WHERE run_id=? AND key=? AND status='open'"
CALL = ("key", "attempt", "tool", "timeout", "memory", "is_approved")
INSERT_CALLS = (
    f"INSERT INTO agents_processcall (id, run_id, {', '.join(CALL)}, queued_at, host)"  # noqa: S608 (names of our own)
    " VALUES (?,?,?,?,?,?,?,?,?,'')"
)
INSERT_TASKS = "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('tools',?,?)"
DROP_CALLS = "DELETE FROM agents_processcall WHERE id=?"
TAINT_RUN = "UPDATE agents_run SET tainted=1 WHERE id=? AND NOT tainted"
TAINT_STEP = "UPDATE agents_step SET tainted=1 WHERE run_id=? AND key=? AND NOT superseded"
# The rows come as one JSON text: for each row by itself sqlite3 would let go of the interpreter too.
LOCK_RUNS = (
    "SELECT json_group_array(json_array(id, status, reason, wanted, worker_id, epoch, wakes, last_event, steps_done,"
    " input_tokens, output_tokens, cost_microusd, NULL, NULL, finished_at))"
    " FROM agents_run WHERE id IN (SELECT value FROM json_each(?))"
)
DUE_RUNS = """
SELECT json_group_array(json_array(id, epoch + 1, workspace_id, workflow, agent_version_id, input, parent_id,
 parent_key, root_id, depth, priority, wakes, wanted, last_event, created_at, suspect, tainted, tools, budget,
 deadline_at))
FROM (SELECT * FROM agents_run WHERE status='queued' AND NOT suspect
 AND EXISTS (SELECT 1 FROM agents_worker w WHERE w.id = ? AND w.state IN ('alive', 'draining')) ORDER BY rank LIMIT ?)
"""
DUE_SUSPECTS = DUE_RUNS.replace("NOT suspect", "suspect")
CLAIM = (
    "UPDATE agents_run SET status='running', worker_id=?, epoch=epoch+1, reason='', started_at=coalesce(started_at, ?)"
    " WHERE id IN (SELECT value FROM json_each(?))"
)
